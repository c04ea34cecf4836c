"""Whose a conversation is."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chatflows', '0010_all_audited'),
        ('predictions', '0015_tenancy'),
        ('workspaces', '0009_end_user_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='chatmessage',
            name='end_user',
            field=models.CharField(db_default='', default='', max_length=260),
        ),
        migrations.AddField(
            model_name='execution',
            name='end_user',
            field=models.CharField(db_default='', default='', max_length=260),
        ),
        migrations.AddIndex(
            model_name='chatmessage',
            index=models.Index(condition=models.Q(('end_user__startswith', 'user:')), fields=['workspace', 'end_user', 'id'], name='message_by_end_user'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('end_user__startswith', 'user:')), fields=['workspace', 'end_user', 'id'], name='execution_by_end_user'),
        ),
    ]
