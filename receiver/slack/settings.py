"""The section `slack` of `config/receiver.yml`."""

from toolkit.configfile import HttpUrl, Model, Secret


class SlackSettings(Model):
    """What presses are signed with, and whose addresses they are answered at: `hooks` is another for GovSlack."""

    signing_secret_file: Secret
    hooks: HttpUrl = "https://hooks.slack.com"
