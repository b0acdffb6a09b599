"""Who is behind a tab, who may fire what, and live updates."""
