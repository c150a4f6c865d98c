// Scripts of the board: none is needed to use it.
"use strict";
