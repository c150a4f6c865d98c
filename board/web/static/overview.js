// Shows a change within seconds: the board says that something changed, and refresh.js loads the page's content anew.
// Without this stream the page renews itself every half minute all the same.
"use strict";

const feed = new EventSource("/events");
feed.addEventListener("change", () => refresh());
// its session has ended: the page asks, and is sent to the sign-in
feed.addEventListener("ended", () => {
  feed.close();
  refresh();
});
// another page of this session has the place
feed.addEventListener("replaced", () => feed.close());
