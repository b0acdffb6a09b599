"""Routes that browsers post to and get from; security headers; the outermost layer."""
