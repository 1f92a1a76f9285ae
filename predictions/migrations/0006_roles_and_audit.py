"""The permissions of the roles; the audit's filters find by index, and its entries stay as they were written."""

from django.db import migrations, models

from predictions import append_only


def protect(apps, schema_editor):
    append_only.protect(schema_editor.connection)


def unprotect(apps, schema_editor):
    append_only.unprotect(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ("predictions", "0005_console"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="job",
            options={
                "permissions": [
                    ("submit_job", "Can submit jobs"),
                    ("see_any_job", "Can see other people's jobs"),
                    ("see_console", "Can see the console"),
                    ("revoke_any_job", "Can revoke other people's jobs"),
                    ("retry_any_job", "Can retry other people's jobs"),
                    ("change_results", "Can keep and remove results"),
                    ("change_priority", "Can change the priority of queued jobs"),
                    ("pause_queues", "Can pause and resume queues"),
                    ("purge_queues", "Can purge queues"),
                    ("control_workers", "Can control workers"),
                    ("export_audit", "Can export the audit"),
                ]
            },
        ),
        migrations.AddIndex("audit", models.Index(fields=["who_name", "-id"], name="audit_by_who")),
        migrations.AddIndex("audit", models.Index(fields=["action", "-id"], name="audit_by_action")),
        migrations.AddIndex("audit", models.Index(fields=["who_name", "action", "-id"], name="audit_by_both")),
        migrations.AddIndex("audit", models.Index(fields=["subject", "-id"], name="audit_by_subject")),
        migrations.AddIndex("audit", models.Index(fields=["at"], name="audit_by_time")),
        migrations.RunPython(protect, unprotect),
    ]
