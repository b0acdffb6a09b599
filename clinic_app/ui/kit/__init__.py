"""Components without state: tokens, theme, buttons, fields, table, dialog, shell."""
