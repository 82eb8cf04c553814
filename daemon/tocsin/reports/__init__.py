"""Reports: at times of the day, what is so now and what happened since the last one, sent like any message."""
