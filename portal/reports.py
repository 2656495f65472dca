"""Error reports that show where a fault happened and no value: a local variable may hold a credential."""

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NothingButShape(SafeExceptionReporterFilter):
    """Hides every setting, every posted value and every local variable, in debug mode too."""

    def is_active(self, request: HttpRequest | None) -> bool:
        """Returns True: there is no mode in which values show."""
        return True

    def get_safe_settings(self) -> dict[str, Any]:
        """Returns nothing, because settings hold keys."""
        return {}

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Returns the names of what was posted, with stars for values."""
        return dict.fromkeys(request.POST, self.cleansed_substitute) if request else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Returns the names of a frame's variables, with stars for values."""
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
