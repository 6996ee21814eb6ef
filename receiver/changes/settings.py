"""The part `changes` of `config/receiver.yml`."""

from toolkit.configfile import Model, Secret


class ChangeSources(Model):
    """The secrets with which those sign who can't send a token."""

    github_secret_file: Secret | None = None
    launchdarkly_secret_file: Secret | None = None
