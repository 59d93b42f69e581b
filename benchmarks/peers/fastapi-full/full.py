"""The FastAPI peer with request ids, security headers and metrics by route, by the packages that its users take for them."""
from asgi_correlation_id import CorrelationIdMiddleware
from main import app
from prometheus_fastapi_instrumentator import Instrumentator
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions
from secure.middleware import SecureASGIMiddleware

headers = Secure(
    xcto=XContentTypeOptions().nosniff(),
    xfo=XFrameOptions().deny(),
    referrer=ReferrerPolicy().no_referrer(),
    csp=ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'"),
)
app.add_middleware(SecureASGIMiddleware, secure=headers)
app.add_middleware(CorrelationIdMiddleware)
Instrumentator().instrument(app).expose(app)
