"""Every setting, read once. Defaults run a laptop; production is checked at start by `checks.py`.

`docs/configuration.md` has a line for each variable, and a test holds it to that.
"""

from __future__ import annotations

from pathlib import Path

from redis.backoff import NoBackoff
from redis.retry import Retry

from forjinn.embedded.state import load_secrets, service_urls
from forjinn.env import database_from_url, env_bool, env_int, env_list, env_text, oidc_apps

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env_text("FORJINN_VAR") or BASE_DIR / "var")

# What `make run` started, while it runs; the environment's own URLs come first.
_EMBEDDED = service_urls()
DATABASE_URL = env_text("DATABASE_URL") or _EMBEDDED.get("DATABASE_URL", "")
REDIS_URL = env_text("REDIS_URL") or _EMBEDDED.get("REDIS_URL", "")
MODEL_URL = env_text("MODEL_URL") or _EMBEDDED.get("MODEL_URL", "")

PRODUCTION = env_bool("FORJINN_PRODUCTION", default=False)
ENVIRONMENT = env_text("ENVIRONMENT", "production")  # keys may be limited to servers that go by some names
DEBUG = False
_SECRETS = {} if PRODUCTION else load_secrets()
SECRET_KEY = env_text("SECRET_KEY") or _SECRETS.get("SECRET_KEY", "")
# API keys are stored as HMAC-SHA256 under this pepper, credentials sealed with these keys (the first one seals).
API_KEY_PEPPER = env_text("API_KEY_PEPPER") or _SECRETS.get("API_KEY_PEPPER", "")
ENCRYPTION_KEYS = env_list("ENCRYPTION_KEYS") or [key for key in [_SECRETS.get("ENCRYPTION_KEY", "")] if key]

ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ("*",))
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("TRUST_PROXY", default=False) else None
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "allauth.headless",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "forjinn",
    "workspaces",
    "workspaces.audit",
    "workspaces.limits",
    "apikeys",
    "chatflows",
    "chatflows.documents",
    "predictions",
    "predictions.retention",
    "predictions.triggers",
    "predictions.hooks",
]

# API calls pass only these. Sessions, CSRF and messages serve pages; under ASGI each of those would cost
# every API call up to two hops to a thread.
MIDDLEWARE = [
    "forjinn.core.middleware.request_ids",
    "forjinn.core.middleware.tallied",
    "forjinn.core.middleware.confined",
    "corsheaders.middleware.CorsMiddleware",
    "allauth.account.middleware.AccountMiddleware",  # catches what its views raise, which the chain of pages could not
    "forjinn.core.middleware.pages_only",
]
PAGES_MIDDLEWARE = [
    "forjinn.core.foreign_calls.told_in_json",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "workspaces.audit.operators.operators",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# The admin's own checks look for its middleware in MIDDLEWARE; it is there, one level down.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]

ROOT_URLCONF = "forjinn.urls"
ASGI_APPLICATION = "forjinn.asgi.application"
AUTH_USER_MODEL = "workspaces.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["workspaces.accounts.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# People sign in below /_allauth/ (django-allauth, headless: JSON and the session's cookie). See workspaces/accounts.py.
PUBLIC_URL = (env_text("PUBLIC_URL") or f"http://127.0.0.1:{env_text('PORT', '3000')}").rstrip("/")  # links in mails
SETUP_SECRET = env_text("SETUP_SECRET")
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ("browser",)
HEADLESS_FRONTEND_URLS = {
    "account_confirm_email": f"{PUBLIC_URL}/account/verify-email/{{key}}",
    "account_reset_password": f"{PUBLIC_URL}/account/password/reset",
    "account_reset_password_from_key": f"{PUBLIC_URL}/account/password/reset/{{key}}",
    "account_signup": f"{PUBLIC_URL}/account/signup",
    "socialaccount_login_error": f"{PUBLIC_URL}/account/provider/callback",
}
ACCOUNT_ADAPTER = "workspaces.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # other sessions end with the hash that they carry; this one goes on
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # another address, or another provider, takes the password once more
ACCOUNT_EMAIL_NOTIFICATIONS = True  # whose password or address is changed hears of it
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if env_bool("TRUST_PROXY", default=False) else 0
SOCIALACCOUNT_ADAPTER = "workspaces.accounts.SocialAccountAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # an address at a provider never opens an account that was made elsewhere
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": oidc_apps(
            issuer=env_text("OIDC_ISSUER"),
            client_id=env_text("OIDC_CLIENT_ID"),
            secret=env_text("OIDC_CLIENT_SECRET"),
            name=env_text("OIDC_NAME", "Single sign-on"),
        ),
    }
}
EMAIL_HOST = env_text("EMAIL_HOST")
EMAIL_PORT = env_int("EMAIL_PORT", 587)
EMAIL_HOST_USER = env_text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env_text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env_text("EMAIL_FROM", "forjinn@localhost")
# Without a server for mail, what would have been sent stands in the log of the web process.
MAIL_TRANSPORT = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_BACKEND = "forjinn.core.mail.Backend"
# Counts tries to sign in; every web process has to see the same count.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL or "redis://127.0.0.1:6379/0",
        "KEY_PREFIX": "forjinn:cache",
        # One that is gone is told within seconds; the driver's own way is to try again and again.
        "OPTIONS": {"socket_connect_timeout": 2.0, "socket_timeout": 2.0, "retry": Retry(NoBackoff(), 1)},
    }
}

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "forjinn" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Threads live on from one request to the next (see asgi.py), so their connections may too.
_DATABASE = database_from_url(DATABASE_URL or "postgresql://localhost/forjinn")
# A machine that is gone says nothing: without these a statement waits a quarter of an hour for it, or for ever.
_GIVING_UP = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
DATABASES = {
    "default": {
        **_DATABASE,
        "OPTIONS": {**_GIVING_UP, **_DATABASE["OPTIONS"]},
        "ENGINE": "forjinn.core.postgres",  # connections follow scopes
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
DATABASE_POOL_SIZE = env_int("DATABASE_POOL_SIZE", 8)  # connections of the prediction path, a process
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from where the apps keep them: no collectstatic, no STATIC_ROOT
WHITENOISE_AUTOREFRESH = False

CORS_URLS_REGEX = r"^/(api|workflows)/.*$"
# Any page may call with a key, which says itself from where it is good. With a person's cookie none but our own may:
# credentials are never allowed, so browsers show no answer to another origin's page that sent the cookie; SameSite
# keeps it from other sites' calls; and writes by it show a token and our own origin (`workspaces/sessions.py`).
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = False
CORS_EXPOSE_HEADERS = [
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Request-Id",
    "Retry-After",
    "X-Execution-Id",
    "X-Flow-Problems",
    "X-Total-Count",
]
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "prefer",
    "x-api-key",
    "x-end-user",
    "x-request-from",
]

# Bodies of predictions carry files as data URIs; the field's own default is 50 MB.
DATA_UPLOAD_MAX_MEMORY_SIZE = env_int("MAX_BODY_MB", 50) * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apikeys.authentication.MemberAuthentication",
        "apikeys.authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["forjinn.core.permissions.AsNeeded"],
    "DEFAULT_THROTTLE_CLASSES": ["workspaces.limits.throttling.CallsAMinute"],
    "DEFAULT_RENDERER_CLASSES": ["forjinn.core.renderers.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["forjinn.core.parsers.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "forjinn.core.refusals.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # ?format= is nobody's business here: there is one format
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Forjinn",
    "DESCRIPTION": "Chatflows and predictions over HTTP.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    # With everything unfolded, its page stops drawing at about 120 operations.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none"},
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "FlowType": "chatflows.access.KINDS",
        "StatusEnum": "chatflows.documents.models.Status",
        "RoleName": "workspaces.people.serializers.ROLES",
        "MemberState": "workspaces.people.serializers.MEMBER_STATES",
        "InvitationState": "workspaces.people.serializers.INVITATION_STATES",
        "AgentFlowType": "chatflows.access.AGENT_KINDS",
        "TriggerType": "predictions.triggers.serializers.TYPES",
        "HookDeliveryState": "predictions.hooks.serializers.STATES",
        "ApiKeyKind": "chatflows.keys.serializers.KINDS_OF_KEYS",
        "NewApiKeyKind": "chatflows.keys.serializers.KINDS_MADE",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "forjinn.core.openapi.merge_plain_views",
        "predictions.doors.stepflow.openapi.add_schemes",
        "forjinn.core.openapi.complete_operations",
    ],
}

CELERY_BROKER_URL = env_text("CELERY_BROKER_URL") or REDIS_URL
PREDICTIONS_ON_REDIS = CELERY_BROKER_URL == REDIS_URL  # their queue is then written and read without kombu
# How long a caller waits for an answer before it is told to look the execution up.
PREDICTION_TIMEOUT_S = env_int("PREDICTION_TIMEOUT_S", 180)
PREDICTION_MAX_TOKENS = env_int("PREDICTION_MAX_TOKENS", 1_000_000)  # of all chat models of a run together
PREDICTION_CONCURRENCY = env_int("PREDICTION_CONCURRENCY", 256)  # runs at once in a worker process
MEMORY_MAX_MESSAGES = env_int("MEMORY_MAX_MESSAGES", 200)  # the newest of a session that memory nodes may read
PREDICTION_WAIT_EXPIRY_H = env_int("PREDICTION_WAIT_EXPIRY_H", 72)  # how long a run may wait for a person
HOOK_RETENTION_D = env_int("HOOK_RETENTION_D", 30)  # how long what was sent to receivers of hooks can be looked up
AUDIT_RETENTION_D = env_int("AUDIT_RETENTION_D", 365)  # how long it can be looked up who changed what
STREAM_RETENTION_S = env_int("STREAM_RETENTION_S", 600)  # how long a finished run's events can be replayed

# What a workspace may use where it says nothing itself; 0: no limit.
RATE_PER_WORKSPACE = env_int("RATE_PER_WORKSPACE", 0)  # calls a minute
RATE_PER_KEY = env_int("RATE_PER_KEY", 0)  # calls a minute, each
RATE_PER_ADDRESS = env_int("RATE_PER_ADDRESS", 600)  # calls a minute of each address without a key
STREAMS_PER_ADDRESS = env_int("STREAMS_PER_ADDRESS", 100)  # open at once in a web process, without a key
STREAMS_PER_KEY = env_int("STREAMS_PER_KEY", 0)  # the same of each key
RUNS_AT_ONCE = env_int("RUNS_AT_ONCE", 0)  # of a workspace
TOKENS_PER_MONTH = env_int("TOKENS_PER_MONTH", 0)  # of a workspace
USD_PER_MONTH = env_int("USD_PER_MONTH", 0)  # of a workspace

# Hosts that are not public and that flows may call all the same; MODEL_URL's own is always among them.
EGRESS_ALLOW = env_list("EGRESS_ALLOW")
# Inputs that lead to code or other servers, as `<node type>.<input>`, which flows' rules may leave to their callers.
OVERRIDABLE_FIELDS = frozenset(env_list("OVERRIDABLE_FIELDS"))

LOG_LEVEL = env_text("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"fields": {"()": "forjinn.core.logs.FieldsFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "fields"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}
UNFOLD = {
    "SITE_TITLE": "Forjinn",
    "SITE_HEADER": "Forjinn",
    "LOGIN": {"form": "workspaces.operators.SignInForm"},
}
