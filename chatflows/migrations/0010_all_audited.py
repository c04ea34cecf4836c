"""Who saves texts of flows, deploys them and changes tools is told."""

from django.db import migrations

from forjinn.core.auditing import audited, audited_through


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0009_audited"), ("audit", "0002_writing")]

    operations = [
        audited_through(
            "chatflows_chatflow",
            table="chatflows_chatflowversion",
            column="chatflow_id",
            resource="versions",
            secrets=["flow_data"],
        ),
        audited_through(
            "chatflows_chatflow", table="chatflows_deployment", column="chatflow_id", resource="deployments"
        ),
        audited("chatflows_tool", resource="tools", secrets=["func"]),
    ]
