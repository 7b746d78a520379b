"""Prints what the program is made of, as CycloneDX 1.5: the crates of Cargo.lock that it depends on.

Arguments: Cargo.lock, version, program, then the packages of this Debian whose files are delivered with it.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import uuid


def component(package):
    found = {
        "type": "library",
        "name": package["name"],
        "version": package["version"],
        "purl": f"pkg:cargo/{package['name']}@{package['version']}",
        "bom-ref": f"pkg:cargo/{package['name']}@{package['version']}",
    }
    if package.get("license"):
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return found


def debian(package):
    """A package that is installed here, whose libraries are in the image."""
    shown = "${Version}\t${Architecture}"
    command = ["dpkg-query", "--show", f"--showformat={shown}", package]
    version, architecture = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\t")
    purl = f"pkg:deb/debian/{package}@{version}?arch={architecture}"
    return {"type": "library", "name": package, "version": version, "purl": purl, "bom-ref": purl}


def main():
    lock, version, binary = sys.argv[1:4]
    delivered = [debian(package) for package in sorted(set(sys.argv[4:]))]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host()]
    metadata = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(key for key, package in packages.items() if package["name"] == "fraiseql")

    def linked(key):
        """What ends up in the program: neither for tests nor for building."""
        kinds = lambda dep: any(kind["kind"] is None for kind in dep["dep_kinds"])
        return [dep["pkg"] for dep in nodes[key]["deps"] if kinds(dep)]

    seen, todo = {root}, [root]
    while todo:
        for dependency in linked(todo.pop()):
            if dependency not in seen:
                seen.add(dependency)
                todo.append(dependency)
    reference = lambda key: component(packages[key])["bom-ref"]
    digest = hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()
    lock_digest = hashlib.sha256(pathlib.Path(lock).read_bytes()).hexdigest()
    program = component(packages[root]) | {
        "type": "application",
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    found = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # The same program and libraries have the same number.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest + lock_digest)}",
        "version": 1,
        "metadata": {"component": program},
        "components": sorted(
            [component(packages[key]) for key in seen - {root}] + delivered, key=lambda one: one["bom-ref"]
        ),
        "dependencies": sorted(
            ({"ref": reference(key), "dependsOn": sorted(set(map(reference, linked(key))))} for key in seen),
            key=lambda one: one["ref"],
        ),
    }
    json.dump(found, sys.stdout, indent=1)


def host():
    about = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in about.splitlines() if line.startswith("host:"))


if __name__ == "__main__":
    main()
