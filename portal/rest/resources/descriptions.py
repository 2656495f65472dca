"""The description of the API, and the answer at addresses that lead nowhere."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.errors import NotFound
from portal.rest.authentication import Anybody
from portal.rest.schema import openapi_document


class OpenAPI(APIView):
    """Says what this API can do; it is the same for everybody."""

    permission_classes = [Anybody]
    authentication_classes = ()
    schema = None

    def get(self, request: Request) -> Response:
        """Returns the OpenAPI document."""
        return Response(openapi_document())


class Nowhere(APIView):
    """An address of the API that there is not."""

    permission_classes = [Anybody]
    authentication_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises for every method alike."""
        raise NotFound("There is nothing at this address.")
