"""What Reflex is told. Everything a clinic may change is read from ``CLINIC_…`` (clinic_app/core/settings.py)."""

import reflex as rx

from clinic_app.core.addresses import allowed_origins
from clinic_app.core.settings import get_settings
from clinic_app.ui.kit.theme import SlimRadixThemes, radix_theme

settings = get_settings()
state_manager = rx.constants.StateManagerMode.REDIS if settings.redis_url else rx.constants.StateManagerMode.MEMORY

config = rx.Config(
    app_name="clinic_app",
    plugins=[SlimRadixThemes(theme=radix_theme())],
    disable_plugins=[rx.plugins.SitemapPlugin],  # it would list internal addresses
    cors_allowed_origins=list(allowed_origins(settings)),
    trusted_proxy_hops=settings.trusted_proxy_hops,
    transport="websocket",
    # Page state is in memory, or in Redis for several workers; Reflex's own default writes it to disk.
    state_manager_mode=state_manager,
    redis_url=settings.redis_url or None,
    redis_token_expiration=60,  # seconds a closed tab's state is kept; ui/session/tabs.py keeps an open one's
    frontend_compression_formats=["brotli", "gzip"],
    show_built_with_reflex=False,
    telemetry_enabled=False,
    env_file=None,  # the environment is the operator's; no file may change it quietly
)
