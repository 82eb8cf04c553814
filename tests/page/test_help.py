"""`/help` and `/help/TOPIC`: the reference in a browser."""

import re

import pytest

from support.looked import ROOT, asked, page_of, text_of
from support.stored import opened
from tocsin.docs import TOPICS, page, summary
from tocsin.page.prose import topic_html
from tocsin.page.screen import NoSuch
from tocsin.page.screens.help import HELP, TOPIC, topic, topics


@pytest.fixture(autouse=True)
def database(tmp_path):
    opened(tmp_path).close()


async def test_all_topics_stand_there_with_what_they_are_about(tmp_path):
    html = await page_of(HELP, asked(tmp_path))
    for name in TOPICS:
        assert f'href="{ROOT}/help/{name}"' in html
    assert text_of(html).count(summary("channels")) == 1
    found = await topics(asked(tmp_path))
    assert [each["topic"] for each in found["topics"]] == [*TOPICS]


@pytest.mark.parametrize("name", TOPICS)
async def test_a_topic_is_shown_with_tables_and_links_that_lead_somewhere(tmp_path, name):
    html = await page_of(TOPIC, asked(tmp_path, path={"topic": name}), f"/help/{name}")
    assert html.count("<h1") == 1
    assert ("<table>" in html) == ("\n|--" in page(name).replace("| --", "|--"))
    assert ("<pre " in html) == ("```" in page(name))
    assert "```" not in html
    for link in re.findall(r'<a [^>]*href="([^"]+)"', html):
        path, _, anchor = link.partition("#")
        assert "://" in path or path.startswith(f"{ROOT}/") or link.startswith("#"), link
        if anchor and path.startswith(f"{ROOT}/help/"):
            other = path.removeprefix(f"{ROOT}/help/")
            assert f'id="{anchor}"' in topic_html(other, str), link


@pytest.mark.parametrize(
    ("name", "near"), [("chanels", "/help/channels"), ("Rules", "/help/rules"), ("zzz", "/help")]
)
async def test_an_unknown_topic_names_those_that_are_called_nearly_so(tmp_path, name, near):
    with pytest.raises(NoSuch, match=name) as caught:
        await topic(asked(tmp_path, path={"topic": name}))
    assert near in [path for _, path in caught.value.near]


async def test_json_tells_a_topic_as_markdown(tmp_path):
    assert (await topic(asked(tmp_path, path={"topic": "rules"})))["markdown"] == page("rules")
