"""What was removed is counted and listed however the job had ended."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("predictions", "0006_roles_and_audit"),
    ]

    operations = [
        migrations.RemoveIndex("job", "job_removed"),
        migrations.AddIndex(
            "job",
            models.Index(
                fields=["-removed", "freed_bytes"], name="job_removed", condition=models.Q(removed__isnull=False)
            ),
        ),
    ]
