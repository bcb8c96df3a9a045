"""JupyterLab of `make lab`: no news, no look-up of newer versions, no catalogue of extensions."""

c = get_config()  # noqa: F821 - Jupyter defines it where it reads this file

c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
