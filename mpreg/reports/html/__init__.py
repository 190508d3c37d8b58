"""The report and the impact assessment as pages: one file each, no network."""

from mpreg.reports.html.page import TITLE as TITLE
from mpreg.reports.html.page import render_html as render_html
from mpreg.reports.html.page import write_html as write_html
