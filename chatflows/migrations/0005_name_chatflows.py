import secrets

from django.db import migrations
from django.utils.text import slugify

BATCH = 1000


def name_flows(apps, schema_editor):
    """Every flow gets its slug; the oldest of a workspace's flows of one name gets it without a tail."""
    flows = apps.get_model("chatflows", "Chatflow").objects
    while batch := list(flows.filter(slug=None).order_by("created_at", "id")[:BATCH]):
        for flow in batch:
            words = slugify(flow.name)[:72].strip("-") or "flow"
            is_taken = flows.filter(workspace_id=flow.workspace_id, slug=words).exists()
            slug = f"{words}-{secrets.token_hex(3)}" if is_taken else words
            flows.filter(pk=flow.pk).update(slug=slug, object_id=secrets.token_hex(12))


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0004_chatflow_names")]

    operations = [migrations.RunPython(name_flows, migrations.RunPython.noop)]
