"""Django's settings; everything that differs between two installations comes from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from kombu import Queue

from inference_site import environment
from predictions.queues import QUEUES, TRANSPORT_BANDS

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.folder("DATA_DIR", BASE_DIR / ".data")
MODEL_DIR = environment.folder("MODEL_DIR", DATA_DIR / "models")
DEFAULT_MODEL = os.environ.get("DEFAULT_MODEL") or "digits"

PORT = environment.whole_number("PORT", 8000, 1, 65535)
REALTIME_WORKERS = environment.whole_number("REALTIME_WORKERS", 1, 0, 64)
BATCH_WORKERS = environment.whole_number("BATCH_WORKERS", 1, 0, 64)
RESULT_EXPIRES = environment.whole_number("RESULT_EXPIRES", 3600, 1, 10 * 365 * 86400)
HISTORY_DAYS = environment.whole_number("HISTORY_DAYS", 90, 1, 36500)
TIME_LIMIT = environment.whole_number("TIME_LIMIT", 300, 2, 86400)
REALTIME_TIME_LIMIT = environment.whole_number("REALTIME_TIME_LIMIT", TIME_LIMIT, 2, 86400)
BATCH_TIME_LIMIT = environment.whole_number("BATCH_TIME_LIMIT", TIME_LIMIT, 2, 86400)
# Only batches can stop in between. Unset, it stays below a short hard limit.
SOFT_TIME_LIMIT = environment.whole_number("SOFT_TIME_LIMIT", min(270, BATCH_TIME_LIMIT * 9 // 10), 1, 86400)
BATCH_SOFT_TIME_LIMIT = environment.whole_number("BATCH_SOFT_TIME_LIMIT", SOFT_TIME_LIMIT, 1, 86400)
environment.demand_below(
    ("BATCH_SOFT_TIME_LIMIT", "SOFT_TIME_LIMIT"),
    BATCH_SOFT_TIME_LIMIT,
    ("BATCH_TIME_LIMIT", "TIME_LIMIT"),
    BATCH_TIME_LIMIT,
)
MAX_UPLOAD_BYTES = environment.whole_number("MAX_UPLOAD_BYTES", 2 * 1024**3, 1024, 1024**4)
USER_UPLOAD_BYTES = environment.whole_number("USER_UPLOAD_BYTES", 20 * 1024**3, 1024, 1024**5)
STORE_UPLOAD_BYTES = environment.whole_number("STORE_UPLOAD_BYTES", 200 * 1024**3, 1024, 1024**5)
MICRO_BATCH = environment.whole_number("MICRO_BATCH", 64, 1, 4096)
RECEIVE = environment.one_of("RECEIVE", "many", "one")
TORCH_THREADS = environment.whole_number("TORCH_THREADS", 1, 1, 256)
RATE_LIMIT = environment.rate("RATE_LIMIT")
METRICS_TOKEN = environment.token("METRICS_TOKEN")
SUBMITTERS = environment.one_of("SUBMITTERS", "everybody", "permitted")
REDIS_URL = environment.redis_url(DATA_DIR)

REALTIME_WAIT_TARGET = environment.whole_number("REALTIME_WAIT_TARGET", 10, 1, 30 * 86400)
BATCH_WAIT_TARGET = environment.whole_number("BATCH_WAIT_TARGET", 600, 1, 30 * 86400)
DISK_FREE_PERCENT = environment.whole_number("DISK_FREE_PERCENT", 10, 0, 90)
ALERT_EMAILS = environment.addresses("ALERT_EMAILS")
ALERT_WEBHOOK_URL = environment.web_address("ALERT_WEBHOOK_URL")
ALERT_WEBHOOK_SECRET = environment.webhook_secret("ALERT_WEBHOOK_SECRET", "ALERT_WEBHOOK_URL")
EMAIL_HOST = os.environ.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = environment.whole_number("EMAIL_PORT", 25, 1, 65535)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = environment.on("EMAIL_USE_TLS")
EMAIL_USE_SSL = environment.on("EMAIL_USE_SSL")
environment.demand_not_both("EMAIL_USE_TLS", "EMAIL_USE_SSL")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = (
    environment.matching("DEFAULT_FROM_EMAIL", environment.ADDRESS, "give an address such as dashboard@example.com")
    or "dashboard@localhost"
)

SECRET_KEY = environment.secret_key(DATA_DIR)
DEBUG = False
ALLOWED_HOSTS = environment.hosts("ALLOWED_HOSTS")
IS_LOOPBACK_ONLY = set(ALLOWED_HOSTS) <= environment.LOOPBACK_HOSTS
ALLOWED_ORIGINS = (
    [f"http://{host}:{PORT}" for host in ALLOWED_HOSTS]
    if IS_LOOPBACK_ONLY
    else [f"https://{host.removeprefix('.')}" for host in ALLOWED_HOSTS]
)
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_celery_results",
    "ninja",
    "predictions",
    "workers_admin",
    "inference_site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "inference_site.one_thread.in_one_thread",
]
ROOT_URLCONF = "inference_site.urls"
ASGI_APPLICATION = "inference_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {"default": environment.database(DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "submit"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Compressing source maps is half of the work of the first start, and no page loads them.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "gif", "jpg", "webp", "gz", "br", "zip", "woff", "woff2")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": environment.storage(DATA_DIR),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024**2

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py 8 gives up an idle read after 5 s unless told otherwise (facts 25).
        "CONFIG": {
            "hosts": [
                {"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 2, "socket_keepalive": True}
            ]
        },
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = "inference_site.result_backend:ReadingBackend"
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_IMPORTS = ["predictions.worker.tasks", "predictions.worker.control_revokes", "predictions.worker.prefork"]
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in QUEUES]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_DEFAULT_ROUTING_KEY = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True  # outcomes.py alone writes results, in the transaction that ends the job
# A prefork child says that it lives once it has torch and its model; four seconds, the default, are few on a busy machine.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0
CELERY_WORKER_CONSUMER = "predictions.worker.consuming:Consumer"
CELERY_WORKER_AUTOSCALER = "predictions.worker.prefork:Autoscaler"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a full Redis refuses; the worker waits instead of ending (facts 10)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "priority_steps": TRANSPORT_BANDS,
    "queue_order_strategy": "priority",
    # Tasks are short turns; leases decide who works, this only returns what a dead worker had in hand (facts 47).
    "visibility_timeout": 60,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    # A frozen Redis must not hold a publish for ever (facts 11).
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "receive_at_once": MICRO_BATCH,  # worker/receiving.py
}
CELERY_TIMEZONE = TIME_ZONE

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if not IS_LOOPBACK_ONLY:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
        # Two lines for each vector: the console and the history tell them better.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
