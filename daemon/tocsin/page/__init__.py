"""The web page: what is so, why, what was told, what if. HTML made here; alerting needs none of it."""
