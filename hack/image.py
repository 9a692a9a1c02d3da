#!/usr/bin/env python3
"""Makes an image archive out of files alone: no base image, no container engine, the same bytes every time.

The archive is an OCI layout in a tar file, which containerd imports, and kind loads ("kind load image-archive");
a manifest.json in it serves programs that read Docker's own format.

  image.py example.local/app:1 app.tar --file target/release/app=/app --entrypoint /app --user 65532
"""

import argparse
import hashlib
import io
import json
import os
import platform
import re
import shlex
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x"}
EPOCH = "1970-01-01T00:00:00Z"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", type=image_name, help="HOST/PATH:TAG; a name without a host would be looked for in a registry")
    parser.add_argument("archive", help="the file to write")
    parser.add_argument("--file", type=file_entry, action="append", default=[], metavar="SOURCE=/PATH[:MODE]", help="a file, its place in the image and its octal mode (755)")
    parser.add_argument("--directory", type=directory_entry, action="append", default=[], metavar="/PATH[:MODE]", help="an empty directory and its octal mode (755)")
    parser.add_argument("--entrypoint", type=shlex.split, default=[], metavar="WORDS", help="the program and its fixed arguments, quoted as for a shell")
    parser.add_argument("--cmd", type=shlex.split, default=[], metavar="WORDS", help="arguments that a pod may replace")
    parser.add_argument("--user", type=user, metavar="UID[:GID]", help="numbers, since there is no passwd file")
    parser.add_argument("--env", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--label", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--port", type=port, action="append", default=[], metavar="PORT[/PROTOCOL]", help="an exposed port (tcp)")
    parser.add_argument("--architecture", default=ARCHITECTURES.get(platform.machine(), platform.machine()), help="that of the files (%(default)s)")
    return parser.parse_args()


def image_name(text):
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST/PATH:TAG")
    host = text.split("/")[0]
    if "." not in host and ":" not in host and host != "localhost":
        raise argparse.ArgumentTypeError(f"{host!r} is no host (a name with a dot): nodes would look for {text!r} in their default registry")
    return text


def file_entry(text):
    source, separator, rest = text.rpartition("=")
    if not separator or not source:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form SOURCE=/PATH[:MODE]")
    return (source, *directory_entry(rest))


def directory_entry(text):
    found = re.fullmatch(r"/(?P<path>[^:]+?)/?(?::(?P<mode>[0-7]{3,4}))?", text)
    if not found or ".." in found["path"].split("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path with an optional octal mode")
    return found["path"], int(found["mode"] or "755", 8)


def user(text):
    if not re.fullmatch(r"[0-9]+(:[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form UID[:GID], in numbers")
    return text


def pair(text):
    if not re.fullmatch(r"[^=]+=.*", text, re.DOTALL):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return text


def port(text):
    if not re.fullmatch(r"[0-9]{1,5}(/(tcp|udp|sctp))?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form PORT[/PROTOCOL]")
    return text if "/" in text else f"{text}/tcp"


def root_filesystem(files, directories):
    """The tree of the image: parents before children, by name, so that the order of the options does not matter."""
    tree = {}
    for path in [path for _, path, _ in files] + [path for path, _ in directories]:
        while path := os.path.dirname(path):
            tree[path] = (0o755, None)
    for path, mode in directories:
        tree[path] = (mode, None)
    for source, path, mode in files:
        with open(source, "rb") as file:
            tree[path] = (mode, file.read())
    return tar((path, *tree[path]) for path in sorted(tree, key=lambda path: path.split("/")))


def tar(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, mode, content in entries:
            member = tarfile.TarInfo(path)
            member.mode = mode
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def configuration(options, layer):
    config = {
        "Entrypoint": options.entrypoint,
        "Cmd": options.cmd,
        "User": options.user,
        "Env": options.env,
        "ExposedPorts": {port: {} for port in options.port},
        "Labels": dict(label.split("=", 1) for label in options.label),
        "WorkingDir": "/",
    }
    return {
        "architecture": options.architecture,
        "os": "linux",
        "created": EPOCH,
        "config": {key: value for key, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": EPOCH, "created_by": "image.py"}],
    }


def archive(options):
    # The layer is not compressed: another zlib would give other bytes, and nothing here travels far.
    layer = root_filesystem(options.file, options.directory)
    config = encode(configuration(options, layer))
    manifest = encode({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    })
    index = encode({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            **descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
            "platform": {"architecture": options.architecture, "os": "linux"},
            "annotations": {"io.containerd.image.name": options.name, "org.opencontainers.image.ref.name": options.name.rpartition(":")[2]},
        }],
    })
    docker = encode([{"Config": blob_path(config), "RepoTags": [options.name], "Layers": [blob_path(layer)]}])
    return digest(manifest), tar([
        ("blobs", 0o755, None),
        ("blobs/sha256", 0o755, None),
        *sorted((blob_path(blob), 0o644, blob) for blob in (config, layer, manifest)),
        ("index.json", 0o644, index),
        ("manifest.json", 0o644, docker),
        ("oci-layout", 0o644, encode({"imageLayoutVersion": "1.0.0"})),
    ])


def encode(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def digest(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def blob_path(blob):
    return "blobs/" + digest(blob).replace(":", "/")


def descriptor(media_type, blob):
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def main():
    options = arguments()
    try:
        identity, content = archive(options)
        with open(options.archive + ".part", "wb") as file:
            file.write(content)
        os.replace(options.archive + ".part", options.archive)
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")
    print(f"{options.name}@{identity}")


if __name__ == "__main__":
    main()
