"""Where an address leads that is none of ours."""
