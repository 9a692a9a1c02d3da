#!/usr/bin/env python3
"""A shop on Python's own library: each page loads what it needs when it is first asked for, as frameworks do."""

import functools
import http.server
import json
import signal
import socketserver
import sys
import urllib.parse

PORT = 8080
THINGS = ["kettle", "lamp", "table", "blanket", "clock", "mortar", "vase", "shelf", "mirror"]
MATERIALS = ["copper", "oak", "linen", "granite", "brass", "walnut", "wool", "glass"]


@functools.cache
def articles():
    import random

    dice = random.Random(4711)
    return [
        {"number": number, "name": f"{dice.choice(MATERIALS)} {dice.choice(THINGS)}", "cents": dice.randint(100, 90_000)}
        for number in range(2_000)
    ]


@functools.cache
def database():
    import sqlite3

    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table article (number integer primary key, name text, cents integer)")
    connection.executemany("insert into article values (:number, :name, :cents)", articles())
    connection.execute("create index article_name on article (name)")
    return connection


def home(_):
    return {"shop": "open", "articles": len(articles())}


def search(query):
    import re

    word = re.compile(rf"\b{re.escape(query.get('q', 'copper'))}\b")
    found = [article for article in articles()[:600] if word.search(article["name"])]
    return sorted(found, key=lambda article: (article["cents"], article["name"]))[:20]


def invoice(query):
    import datetime
    import decimal

    customer, total, lines = int(query.get("customer", "7")), decimal.Decimal(0), []
    for line in range(20):
        article = articles()[(customer * 31 + line * 17) % len(articles())]
        net = decimal.Decimal(article["cents"]) / 100 * (line % 4 + 1)
        tax = (net * decimal.Decimal("0.19")).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_EVEN)
        total += net + tax
        day = datetime.date(2024, 1, 1) + datetime.timedelta(days=line)
        lines.append({"article": article["name"], "net": f"{net:,.2f}", "tax": str(tax), "delivery": day.strftime("%d %B %Y")})
    return {"customer": customer, "lines": lines, "total": str(total)}


def login(query):
    import base64
    import hashlib
    import hmac
    import uuid

    name = query.get("name", "ada").encode()
    key = hashlib.pbkdf2_hmac("sha256", b"secret of " + name, hashlib.sha256(name).digest(), 500)
    token = base64.urlsafe_b64encode(json.dumps({"user": name.decode(), "id": str(uuid.uuid4())}).encode())
    return {"token": token.decode(), "signature": hmac.new(key, token, "sha256").hexdigest()}


def statistics(query):
    import statistics as figures

    sql = "select name, count(*), min(cents), max(cents), group_concat(cents) from article where name like ? group by name"
    rows = database().execute(sql, (query.get("of", "oak") + "%",)).fetchall()
    return [
        {"name": name, "count": count, "least": least, "most": most, "median": figures.median(map(int, all_of_it.split(",")))}
        for name, count, least, most, all_of_it in rows
    ]


def feed(query):
    import xml.dom.minidom
    import xml.etree.ElementTree as tree

    page, root = int(query.get("page", "7")), tree.Element("feed")
    for article in articles()[page * 10 : page * 10 + 10]:
        entry = tree.SubElement(root, "entry", number=str(article["number"]))
        tree.SubElement(entry, "title").text = article["name"]
    return {"xml": xml.dom.minidom.parseString(tree.tostring(root)).toprettyxml(indent=" ")}


PAGES = {"/": home, "/search": search, "/invoice": invoice, "/login": login, "/statistics": statistics, "/feed": feed}


class Visit(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/ready":
            return self.answer(200, "ready")
        if url.path not in PAGES:
            return self.answer(404, "no such page")
        return self.answer(200, PAGES[url.path](dict(urllib.parse.parse_qsl(url.query))))

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Shop(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Shop(("", PORT), Visit).serve_forever()
