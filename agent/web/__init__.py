"""The inspectors' page: server-drawn, nothing from the internet, no script in the browser."""
