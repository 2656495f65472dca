"""What every screen shares: sign-in, errors as pages, and the way a form calls a service."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from kernel import errors
from portal.statuses import STATUS_OF
from tenants.principals import Principal

T = TypeVar("T")
View = Callable[..., HttpResponse]

TITLES: Final = {
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.NOT_FOUND: "There is nothing here for you",
    HTTPStatus.CONFLICT: "Something else happened first",
    HTTPStatus.PRECONDITION_FAILED: "Somebody changed it meanwhile",
    HTTPStatus.UNPROCESSABLE_ENTITY: "That cannot be done as it is",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is too much at once",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many, too fast",
    HTTPStatus.SERVICE_UNAVAILABLE: "A part did not answer",
}


def screen(*methods: str) -> Callable[[View], View]:
    """Returns a decorator: only signed-in people come in, and a domain error becomes its page. Nothing is cached."""

    def wrap(view: View) -> View:
        @wraps(view)
        def call(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            try:
                _require_storable(request)
                response = view(request, *args, **kwargs)
            except errors.DomainError as error:
                response = error_page(request, error)
            patch_vary_headers(response, ["HX-Request", "Cookie"])
            return response

        return never_cache(require_http_methods(methods or ("GET", "HEAD"))(call))

    return wrap


def _require_storable(request: HttpRequest) -> None:
    """Raises when a text of the request holds the one character that PostgreSQL cannot even compare."""
    fields = [*request.GET.lists(), *request.POST.lists()]
    if any("\0" in text for text in (request.path, *(value for _, values in fields for value in values))):
        raise errors.Invalid("The request holds a character that cannot stand in any text.")


def principal_of(request: HttpRequest) -> Principal:
    """Returns who asks, as the middleware found at the start of the request."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    return principal


def error_page(request: HttpRequest, error: errors.DomainError) -> HttpResponse:
    """Returns the page of a domain error: what happened, which grant is missing and who gives it."""
    status = next((status for kind, status in STATUS_OF if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
    context = {"error": error, "status": status.value, "title": TITLES.get(status, "That did not work")}
    response = render(request, "pages/errors/domain.html", context, status=status)
    if isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def is_partial(request: HttpRequest) -> bool:
    """Tells whether htmx asks for a fragment of the page."""
    htmx = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, part: str = "", form: Form | None = None
) -> HttpResponse:
    """Returns the page, or only its `part` when htmx asks. A form with errors answers 422."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form is not None and form.errors else HTTPStatus.OK
    name = f"{template}#{part}" if part and is_partial(request) else template
    return render(request, name, {**context, **({"form": form} if form is not None else {})}, status=status)


def submit(form: Form, act: Callable[[dict[str, Any]], T]) -> T | None:
    """Returns what the service returned, or None with the reasons in the form."""
    if not form.is_valid():
        return None
    try:
        return act(form.cleaned_data)
    except errors.Invalid as error:
        _explain(form, error)
    except errors.Conflict as error:
        form.add_error(None, error.message)
    return None


def _explain(form: Form, error: errors.Invalid) -> None:
    for field, sentences in error.errors.items():
        for sentence in sentences:
            form.add_error(field if field in form.fields else None, sentence)
    if not error.errors:
        form.add_error(None, error.message)
