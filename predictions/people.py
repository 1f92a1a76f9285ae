"""What is kept about people beside Django's users: failed sign-ins, for as long as they count."""

from __future__ import annotations

from django.db import models


class SignInAttempt(models.Model):
    """A sign-in that failed or is being judged. Names are hashed: people type passwords into the wrong field."""

    name_hash = models.CharField(max_length=64)
    address = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        app_label = "predictions"

    def __str__(self) -> str:
        return f"{self.address} at {self.at:%H:%M:%S}"
