"""Random clusters that reach further into the configuration language than random_cluster.py (whose seeds are part of
recorded runs): templates and tags in constraints, id-refs, rules of every kind, resource sets everywhere, and histories
that only years of operation make.

Left out is what the reference is known to get wrong: parameters by id-ref (builds between 3.0.1 and 3.0.2 lose them), two
history entries of one id, and orderings whose sets name a resource twice (it aborts).
"""
import copy
import xml.etree.ElementTree as ET

import random_cluster
from random_cluster import Element

EPOCH = 1700000000
DAY = 86400


class Cluster(random_cluster.Cluster):
    def draw_features(self):
        every = ["templates-more", "id-refs", "tags-more", "sets-more", "patterns", "rules-more", "defaults", "ops-more",
                 "resource-options", "node-options", "remote-options", "clones-more", "bundles-more", "tickets-more",
                 "history", "discovery", "parameters", "placement-more"]
        share = self.pick(0.1, 0.25, 0.45)
        return super().draw_features() | {f for f in every if self.chance(share)}

    # --- rules ---
    def date(self, ident):
        r = self.rng
        kind = r.randrange(5)
        if kind == 0:
            element = Element("date_expression", id=ident, operation="in_range")
            start = self.pick("2023-11-14 20:00:00Z", "2023-11-14 22:13:20Z", "2020-01-01", "2023-11-15 00:00:00Z", "20231114T2213Z")
            end = self.pick("2023-11-14 22:20:00Z", "2023-11-16", "2040-01-01")
            if self.chance(0.5):
                element.attributes["start"] = start
                if self.chance(0.6):
                    names = r.sample(["years", "months", "weeks", "days", "hours", "minutes", "seconds"], r.randint(1, 2))
                    element.add(Element("duration", id=f"{ident}-d", **{n: self.pick("1", "2", "10") for n in names}))
                else:
                    element.attributes["end"] = end
            else:
                element.attributes["end"] = end
            return element
        if kind == 1:
            return Element("date_expression", id=ident, operation="gt",
                           start=self.pick("2023-11-14 22:13:50Z", "2023-11-14 22:30:00Z", "2023-11-14", "2041-01-01"))
        if kind == 2:
            return Element("date_expression", id=ident, operation="lt",
                           end=self.pick("2023-11-14 22:13:50Z", "2023-11-14 22:30:00Z", "2023-11-14", "2041-01-01"))
        spec = Element("date_spec", id=f"{ident}-s")
        choices = {"years": ("2023", "2024-2030", "2020-"), "months": ("11", "1-6", "10-12"), "monthdays": ("14", "1-10", "14-"),
                   "hours": ("22", "0-8", "9-23"), "minutes": ("0-30", "13", "25-59"), "seconds": ("0-30", "20"),
                   "yeardays": ("318", "1-100"), "weekyears": ("2023",), "weeks": ("46", "1-10", "40-"),
                   "weekdays": ("2", "1-5", "6-7")}
        for name in r.sample(sorted(choices), r.randint(1, 3)):
            spec.attributes[name] = r.choice(choices[name])
        return Element("date_expression", spec, id=ident, operation="date_spec")

    def rule(self, ident, score, location=False, kind="nodes", depth=0):
        if "rules-more" not in self.features or self.chance(0.2):
            return super().rule(ident, score, location)
        r = Element("rule", id=ident)
        if depth == 0 and score is not None:
            if location and self.chance(0.15):
                r.attributes["score-attribute"] = self.pick("rack", "weight")
            else:
                r.attributes["score"] = score
        if self.chance(0.5):
            r.attributes["boolean-op"] = self.pick("and", "or")
        for i in range(self.rng.randint(1, 3)):
            e = f"{ident}-{i}"
            what = self.rng.randrange(6)
            if what == 0 and depth < 2:
                r.add(self.rule(e, None, location, kind, depth + 1))
            elif what <= 1:
                r.add(self.date(e))
            elif kind != "nodes" and what <= 4:
                if kind == "op_defaults" and self.chance(0.6):
                    r.add(Element("op_expression", id=e, name=self.pick("monitor", "start", "stop"),
                                  interval=self.pick(None, "10s", "0", "11s")))
                else:
                    r.add(Element("rsc_expression", id=e, class_=self.pick(None, "ocf", "systemd"),
                                  provider=self.pick(None, "pacemaker", "heartbeat"),
                                  type=self.pick(None, "Dummy", "IPaddr2", "Stateful")))
            else:
                attribute = self.pick("rack", "weight", "#uname", "#kind", "#id", "#is_dc", "#role", "version", "#cluster-name")
                operation = self.pick("eq", "ne", "lt", "gt", "lte", "gte", "defined", "not_defined")
                e = Element("expression", id=e, attribute=attribute, operation=operation)
                if "defined" not in operation:
                    e.attributes["value"] = self.pick("1", "10", "x", "2.1.5", "true", "Promoted", self.rng.choice(self.nodes), "cluster",
                                                      "remote", "container")
                    if self.chance(0.5):
                        e.attributes["type"] = self.pick("string", "number", "integer", "version")
                    if location and self.chance(0.15):
                        e.attributes["value-source"] = self.pick("param", "meta", "literal")
                        e.attributes["value"] = self.pick("fake", "priority", "1")
                r.add(e)
        return r

    # --- nodes and options ---
    def options(self):
        block = super().options()
        values = block.children[0]
        names = {c.attributes["name"]: c for c in values.children}

        def put(name, *choices):
            value = self.rng.choice(choices)
            if name in names:
                names[name].attributes["value"] = value
            else:
                values.add(Element("nvpair", id=f"cib-bootstrap-options-{name}", name=name, value=value))
        if "node-options" in self.features:
            if self.chance(0.3):
                put("node-health-strategy", "none", "migrate-on-red", "only-green", "progressive", "custom")
                put("node-health-yellow", "-5", "0", "-INFINITY", "yellow")
                put("node-health-green", "0", "10")
            if self.chance(0.2):
                put("cluster-name", "x", "mine")
            if self.chance(0.2):
                put("stonith-watchdog-timeout", "0", "10s")
                put("have-watchdog", "true", "false")
            if self.chance(0.2):
                put("fence-reaction", "stop", "panic")
            if self.chance(0.2):
                put("no-quorum-policy", "stop", "ignore", "freeze", "demote", "suicide")
        return block

    def node_elements(self):
        nodes = super().node_elements()
        if "node-options" not in self.features:
            return nodes
        for node in nodes.children:
            values = {}
            for name, choices, p in (("weight", ("1", "100", "-INFINITY", "x"), 0.4), ("version", ("2.1.5", "3.0"), 0.3),
                                     ("standby", ("true", "off", "on"), 0.1), ("#health-x", ("red", "yellow", "7", "-INFINITY"), 0.1),
                                     ("maintenance", ("true", "false"), 0.08), ("terminate", ("true", "0"), 0.04),
                                     ("site-name", ("a", "b"), 0.2)):
                if self.chance(p):
                    values[name] = self.rng.choice(choices)
            if values:
                block = self.pairs("instance_attributes", f"nodes-{node.attributes['id']}-more", values)
                if self.has("rules-more", 0.2):
                    block.children.insert(0, self.rule(f"nodes-{node.attributes['id']}-more-rule", None))
                node.add(block)
            if self.chance(0.1):
                node.attributes["score"] = self.pick("10", "-INFINITY")
            if self.chance(0.05):
                node.attributes["type"] = "member"
        return nodes

    # --- resources ---
    def more_meta(self, block, ident, choices):
        """Adds pairs that the block doesn't have yet; makes a block where there is none."""
        values = {}
        for name, options, p in choices:
            if self.chance(p):
                values[name] = self.rng.choice(options)
        if not values:
            return block
        block = block or Element("meta_attributes", id=f"{ident}-meta")
        there = {c.attributes.get("name") for c in block.children}
        for name, value in values.items():
            if name not in there:
                block.add(Element("nvpair", id=f"{ident}-meta-{name}", name=name, value=value))
        return block

    def meta(self, ident, kind):
        block = super().meta(ident, kind)
        if "resource-options" in self.features:
            block = self.more_meta(block, ident, [
                ("critical", ("true", "false"), 0.2), ("priority", ("3", "INFINITY", "-5"), 0.2),
                ("multiple-active", ("stop_only", "block", "stop_start", "stop_unexpected"), 0.2),
                ("migration-threshold", ("1", "2"), 0.15), ("failure-timeout", ("10s", "PT5M", "1h"), 0.15),
                ("is-managed", ("false",), 0.06), ("maintenance", ("true",), 0.04), ("allow-migrate", ("true",), 0.2),
                ("target-role", ("Stopped", "Unpromoted", "Master", "Slave", "Started"), 0.12),
                ("requires", ("nothing", "quorum", "fencing", "unfencing"), 0.15),
                ("allow-unhealthy-nodes", ("true",), 0.1), ("resource-stickiness", ("50", "-INFINITY", "INFINITY"), 0.2),
                ("container-attribute-target", ("host",), 0.05), ("lrm_managed", ("x",), 0.02)])
            if block is not None and self.has("rules-more", 0.2):
                block.children.insert(0, self.rule(f"{ident}-meta-rule", None))
        if kind == "clone" and "clones-more" in self.features:
            block = self.more_meta(block, ident, [
                ("clone-min", ("1", "2", "3"), 0.3), ("clone-node-max", ("1", "2", "3"), 0.2), ("clone-max", ("0", "1", "2", "7"), 0.3),
                ("ordered", ("true",), 0.3), ("interleave", ("true", "false"), 0.4), ("notify", ("true",), 0.3),
                ("globally-unique", ("true", "false"), 0.2), ("promoted-max", ("0", "1", "2"), 0.2), ("master-max", ("2",), 0.1)])
        return block

    def operations(self, ident, promotable):
        block = super().operations(ident, promotable)
        if "ops-more" not in self.features:
            return block
        if self.has("id-refs", 0.15) and getattr(self, "known_operations", None):
            return Element("operations", id_ref=self.rng.choice(self.known_operations))
        block = block or Element("operations")
        there = {(c.attributes["name"], c.attributes["interval"], c.attributes.get("role")) for c in block.children}
        more = [("monitor", "10000ms", None), ("monitor", "30s", "Started"), ("monitor", "0", None), ("start", "0s", None),
                ("stop", "0s", None), ("monitor", "15s", "Stopped"), ("notify", "0", None), ("migrate_to", "0", None),
                ("migrate_from", "0", None), ("monitor", "10", None), ("reload-agent", "0", None), ("validate-all", "0", None)]
        if promotable:
            more += [("promote", "0s", None), ("demote", "0s", None), ("monitor", "12s", "Master"), ("monitor", "13s", "Slave")]
        for name, interval, role in self.rng.sample(more, self.rng.randint(0, 3)):
            if any(n == name and i.rstrip("s") == interval.rstrip("s") for n, i, _ in there):
                continue
            op = Element("op", id=f"{ident}-{name}-{interval}-more", name=name, interval=interval, role=role)
            if self.chance(0.3):
                op.attributes[self.pick("start-delay", "timeout")] = self.pick("5s", "30")
            if self.chance(0.15) and interval not in ("0", "0s"):
                op.attributes["interval-origin"] = "2023-11-14 20:00:00Z"
                op.attributes.pop("start-delay", None)
            if self.chance(0.15):
                op.attributes["record-pending"] = self.pick("true", "false")
            if self.chance(0.1) and interval not in ("0", "0s"):
                op.attributes["enabled"] = self.pick("true", "false")
            if self.chance(0.2):
                op.attributes["on-fail"] = self.pick("ignore", "block", "stop", "restart", "standby", "fence", "restart-container", "demote")
            if self.chance(0.15):
                op.add(self.pairs("instance_attributes", f"{op.attributes['id']}-ia", {"op_param": "1"}))
            if self.chance(0.2):
                meta = self.pairs("meta_attributes", f"{op.attributes['id']}-ma", {"timeout": self.pick("31s", "1min"), "on-fail": self.pick("ignore", "block")})
                if self.chance(0.4):
                    meta.children.insert(0, self.rule(f"{op.attributes['id']}-ma-rule", None))
                op.add(meta)
            block.add(op)
        if block.children and self.has("id-refs", 0.5):
            block.attributes["id"] = f"{ident}-operations"
            self.known_operations = getattr(self, "known_operations", []) + [f"{ident}-operations"]
        return block if block.children else None

    def primitive(self, ident, promotable=False, agent=None, meta=True, inner=False):
        element = super().primitive(ident, promotable, agent, meta, inner)
        if "parameters" in self.features and "template" not in element.attributes:
            names = {c.attributes.get("id") for c in element.children}
            if self.chance(0.4) and f"{ident}-params2" not in names:
                values = {n: self.pick("1", "2") for n in self.rng.sample(["op_sleep", "passwd", "state", "fake", "envfile"], 2)}
                block = self.pairs("instance_attributes", f"{ident}-params2", values)
                if self.chance(0.5):
                    block.attributes["score"] = self.pick("1", "10", "INFINITY")
                if self.has("rules-more", 0.4):
                    block.children.insert(0, self.rule(f"{ident}-params2-rule", None))
                element.add(block)
        return element

    def bundle(self):
        bundle = super().bundle()
        if "bundles-more" not in self.features:
            return bundle
        container = next(c for c in bundle.children if c.name in ("podman", "docker"))
        if self.chance(0.3):
            container.attributes["options"] = "--privileged"
        if self.chance(0.3):
            container.attributes["network"] = "host"
        if self.chance(0.3):
            container.attributes["run-command"] = "/usr/sbin/run"
        container.attributes["replicas"] = self.pick("1", "2", "3", "4")
        for child in bundle.children:
            if child.name == "network":
                if self.chance(0.3) and "ip-range-start" in child.attributes:
                    child.attributes["host-interface"] = "eth0"
                    child.attributes["host-netmask"] = "24"
                if self.chance(0.2):
                    child.attributes["add-host"] = "false"
                if self.chance(0.3):
                    child.add(Element("port-mapping", id=f"{bundle.attributes['id']}-range", range="90-95"))
            if child.name == "storage" and self.chance(0.5):
                child.add(Element("storage-mapping", id=f"{bundle.attributes['id']}-root", source_dir_root="/var/x", target_dir="/var/y"))
        return bundle

    def resources(self):
        block = super().resources()
        if "templates-more" in self.features:
            name = self.unique("t")
            template = Element("template", id=name, class_="ocf", provider="pacemaker", type="Dummy")
            for part in (self.meta(name, "primitive"), self.pairs("instance_attributes", f"{name}-params", {"fake": "t", "state": "x"})
                         if self.chance(0.5) else None,
                         self.pairs("utilization", f"{name}-util", {"cpu": "1"}) if "utilization" in self.features else None,
                         self.operations(name, False)):
                if part is not None:
                    template.add(part)
            block.add(template)
            self.templates.append(name)
            for _ in range(self.rng.randint(1, 3)):
                ident = self.unique("p")
                primitive = Element("primitive", id=ident, template=name)
                if self.chance(0.4):
                    operations = self.operations(ident, False)
                    if operations is not None:
                        primitive.add(operations)
                block.add(primitive)
                self.primitives.append((ident, False))
                self.tops.append((ident, "primitive"))
            self.template_ends = [name]
        if "remote-options" in self.features:
            for primitive in block.children:
                if primitive.attributes.get("id") in self.remotes and self.chance(0.5):
                    primitive.add(self.pairs("meta_attributes", f"{primitive.attributes['id']}-meta",
                                             {self.pick("allow-migrate", "resource-stickiness", "priority", "is-managed"): self.pick("true", "false", "5")}))
        if self.has("migration", 0.5):
            for primitive in block.children:  # none of the sets above says so for all members of a group
                if primitive.name == "primitive" and not any(c.name == "meta_attributes" for c in primitive.children) and self.chance(0.5):
                    primitive.add(self.pairs("meta_attributes", f"{primitive.attributes['id']}-mig", {"allow-migrate": "true"}))
        return block

    # --- constraints ---
    def any_resource(self):
        ends = list(getattr(self, "template_ends", [])) + list(getattr(self, "tag_ends", []))
        if ends and self.chance(0.12):
            return self.rng.choice(ends)
        return super().any_resource()

    def set_of(self, ident, size, action=False, score=None):
        block = super().set_of(ident, size, action, score)
        if "sets-more" in self.features:
            known = getattr(self, "known_sets", [])
            if known and self.has("id-refs", 0.2):
                return Element("resource_set", id_ref=self.rng.choice(known))
            if self.chance(0.25):
                block.attributes["role"] = self.pick("Promoted", "Unpromoted", "Started", "Stopped")
            if action and self.chance(0.25):
                block.attributes["action"] = self.pick("start", "stop", "promote", "demote")
            if action and self.chance(0.3):
                block.attributes["require-all"] = "false"
                block.attributes["sequential"] = "false"
            if not action and self.chance(0.2):
                block.attributes["score"] = self.score()
            elif action and self.chance(0.2):
                block.attributes["kind"] = self.pick("Mandatory", "Optional", "Serialize")
            if not action and self.chance(0.15):
                block.attributes["ordering"] = self.pick("group", "listed")
            self.known_sets = known + [ident]
        return block

    def constraints(self):
        if "tags-more" in self.features and self.tops:
            self.tag_ends = [self.unique("tag")]
        block = super().constraints()
        everywhere = self.nodes + self.remotes
        if "sets-more" in self.features:
            for _ in range(self.rng.randint(1, 3)):
                kind = self.rng.randrange(4)
                c = self.unique("more")
                if kind == 0:
                    element = Element("rsc_colocation", id=c, score=self.score())
                    if self.chance(0.3):
                        element.attributes["influence"] = self.pick("true", "false")
                    element.add(*[self.set_of(f"{c}-{i}", self.rng.randint(1, 4)) for i in range(self.rng.randint(1, 3))])
                elif kind == 1:
                    element = Element("rsc_order", id=c, kind=self.pick("Mandatory", "Optional", "Serialize"))
                    if self.chance(0.3):
                        element.attributes["symmetrical"] = "false"
                    if self.chance(0.2):
                        element.attributes["require-all"] = "false"
                    element.add(*[self.set_of(f"{c}-{i}", self.rng.randint(1, 4), action=True) for i in range(self.rng.randint(1, 3))])
                else:
                    element = Element("rsc_location", id=c)
                    sets = [self.set_of(f"{c}-{i}", self.rng.randint(1, 3)) for i in range(self.rng.randint(1, 2))]
                    for s in sets:
                        s.attributes.pop("ordering", None)
                    element.add(*sets)
                    if self.has("rules-more", 0.5):
                        element.add(self.rule(f"{c}-rule", self.score(), True))
                    else:
                        element.attributes.update(node=self.rng.choice(everywhere), score=self.score())
                block.add(element)
        if "patterns" in self.features:
            for _ in range(self.rng.randint(1, 2)):
                block.add(Element("rsc_location", id=self.unique("pat"), rsc_pattern=self.pick("^p(.*)", "^[gc]", "!^p", ".*1$", "m.+", "b[0-9]+-podman"),
                                  node=self.rng.choice(everywhere), score=self.score()))
            if self.chance(0.5):
                c = self.unique("pat")
                block.add(Element("rsc_location", self.rule(f"{c}-r1", self.score(), True), self.rule(f"{c}-r2", self.score(), True),
                                  id=c, rsc_pattern=self.pick("^(p)([0-9]+)", ".*"), resource_discovery=self.pick(None, None, "exclusive", "never")))
        if "orders" in self.features and len(self.tops) > 1:
            for c in block.children:
                if c.name == "rsc_order" and "first" in c.attributes and self.has("sets-more", 0.3):
                    c.attributes["require-all"] = self.pick("true", "false")
        if "discovery" in self.features:
            for ident, _ in self.tops:
                if self.chance(0.3):
                    block.add(Element("rsc_location", id=self.unique("disc"), rsc=ident, node=self.rng.choice(everywhere),
                                      score=self.pick("0", "-INFINITY", "10"), resource_discovery=self.pick("never", "exclusive", "always")))
        if "tickets-more" in self.features:
            for _ in range(self.rng.randint(1, 3)):
                ticket = self.rng.choice(self.tickets) if self.tickets and self.chance(0.5) else self.unique("ticket")
                if ticket not in self.tickets:
                    self.tickets.append(ticket)
                element = Element("rsc_ticket", id=self.unique("tick"), ticket=ticket,
                                  loss_policy=self.pick("stop", "demote", "freeze", "fence", None))
                if self.chance(0.4):
                    element.add(self.set_of(f"{element.attributes['id']}-set", self.rng.randint(1, 3)))
                    element.children[0].attributes.pop("ordering", None)
                else:
                    ident = self.any_resource()
                    element.attributes["rsc"] = ident
                    role = self.pick(None, "Started", "Promoted", "Unpromoted", "Stopped") if self.chance(0.4) else self.role_of(ident)
                    if role:
                        element.attributes["rsc-role"] = role
                block.add(element)
        self.disjoint_sets(block)
        return block

    @staticmethod
    def disjoint_sets(block):
        """The reference aborts where an ordering's sets name a resource twice."""
        members = {s.attributes["id"]: s for c in block.children for s in c.children if s.name == "resource_set" and "id" in s.attributes}
        for constraint in block.children:
            if constraint.name != "rsc_order":
                continue
            seen, kept = set(), []
            for block_set in constraint.children:
                if block_set.name == "resource_set" and "id-ref" in block_set.attributes:
                    target = members.get(block_set.attributes["id-ref"])
                    names = {r.attributes["id"] for r in target.children} if target else set()
                    if names & seen or not names:
                        continue
                    seen |= names
                elif block_set.name == "resource_set":
                    block_set.children = [r for r in block_set.children if r.attributes["id"] not in seen]
                    if not block_set.children:
                        continue
                    seen |= {r.attributes["id"] for r in block_set.children}
                kept.append(block_set)
            constraint.children = kept
        names = {s.attributes["id"] for c in block.children for s in c.children if s.name == "resource_set" and "id" in s.attributes}
        for constraint in block.children:  # a reference to a set that was left out
            constraint.children = [s for s in constraint.children if s.attributes.get("id-ref") is None or s.attributes["id-ref"] in names]
        block.children = [c for c in block.children if c.children or c.name not in ("rsc_order", "rsc_colocation", "rsc_location", "rsc_ticket")
                          or any(n in c.attributes for n in ("rsc", "first", "node", "rsc-pattern"))]

    def cib(self):
        text = super().cib()
        root = ET.fromstring(text)
        configuration, status = root.find("configuration"), root.find("status")
        if getattr(self, "tag_ends", None):
            tags = configuration.find("tags")
            if tags is None:
                tags = ET.SubElement(configuration, "tags")
            tag = ET.SubElement(tags, "tag", id=self.tag_ends[0])
            for ident in self.rng.sample([t[0] for t in self.tops], min(self.rng.randint(1, 3), len(self.tops))):
                ET.SubElement(tag, "obj_ref", id=ident)
        if "defaults" in self.features:
            for section, kind, pairs in (("rsc_defaults", "rsc_defaults", [("resource-stickiness", "7"), ("migration-threshold", "2"),
                                                                           ("allow-migrate", "true"), ("priority", "2"), ("multiple-active", "block"),
                                                                           ("is-managed", "false"), ("target-role", "Stopped")]),
                                         ("op_defaults", "op_defaults", [("timeout", "55s"), ("record-pending", "false"), ("on-fail", "block"),
                                                                         ("interval", "7s"), ("enabled", "false")])):
                element = configuration.find(section)
                if element is None:
                    element = ET.SubElement(configuration, section)
                for n in range(self.rng.randint(1, 2)):
                    ident = f"{section}-more{n}"
                    name, value = self.rng.choice(pairs)
                    block = self.pairs("meta_attributes", ident, {name: value})
                    if self.chance(0.7):
                        block.children.insert(0, self.rule(f"{ident}-rule", None, kind=kind))
                    if self.chance(0.4):
                        block.attributes["score"] = self.pick("5", "100")
                    element.append(ET.fromstring(block.text()))
        self.in_order(configuration)
        if self.tickets and self.chance(0.6):
            tickets = ET.Element("tickets")
            for ticket in self.tickets:
                if self.chance(0.7):
                    ET.SubElement(tickets, "ticket_state", id=ticket, granted=self.pick("true", "false"),
                                  **({"standby": self.pick("true", "false")} if self.chance(0.3) else {}),
                                  **{"last-granted": str(EPOCH - 100)})
            if len(tickets):
                status.insert(0, tickets)
        return ET.tostring(root, encoding="unicode")

    @staticmethod
    def in_order(configuration):
        order = ["crm_config", "nodes", "resources", "constraints", "acls", "rsc_defaults", "op_defaults", "tags", "alerts"]
        configuration[:] = sorted(configuration, key=lambda e: order.index(e.tag) if e.tag in order else 99)


# --- what years of operation leave in a history ---
def wear(rng, tree, cluster):
    """One change to the status section that no simulated round makes."""
    status = tree.find("status")
    states = status.findall("node_state")
    histories = [h for h in status.iter("lrm_resource") if len(h)]
    operations = [op for op in status.iter("lrm_rsc_op")]
    if not histories or not operations:
        return
    what = rng.randrange(16)
    if what == 0:    # active twice: the same history on another node
        history = rng.choice(histories)
        others = [s for s in states if s.find("lrm/lrm_resources") is not None]
        target = rng.choice(others).find("lrm/lrm_resources")
        for old in target.findall(f"lrm_resource[@id='{history.get('id')}']"):
            target.remove(old)
        target.append(copy.deepcopy(history))
    elif what in (1, 2, 3):  # a migration in some stage
        primitives = [h for h in histories if h.get("type") in ("Dummy", "VirtualDomain", "IPaddr2", "remote")]
        if not primitives or len(states) < 2:
            return
        history = rng.choice(primitives)
        ident = history.get("id")
        a, b = rng.sample(states, 2)
        names = a.get("uname") or a.get("id"), b.get("uname") or b.get("id")
        calls = 900
        for state, steps in ((a, ("start", "migrate_to", "stop")), (b, ("migrate_from", "monitor"))):
            resources = state.find("lrm/lrm_resources")
            if resources is None:
                continue
            for old in resources.findall(f"lrm_resource[@id='{ident}']"):
                resources.remove(old)
            kept = steps[:rng.randint(1, len(steps))]
            new = ET.SubElement(resources, "lrm_resource", {k: v for k, v in history.attrib.items() if k in ("id", "class", "provider", "type")})
            for step in kept:
                if step == "migrate_from" and rng.random() < 0.3:
                    break
                calls += rng.randint(1, 4)
                result, what_status = ("0", "0") if rng.random() < 0.75 else rng.choice([("1", "0"), ("193", "-1"), ("1", "2"), ("7", "0")])
                op_result(new, ident, step, "10000" if step == "monitor" else "0", result, what_status, calls,
                          names[1] if state is b else names[0], *(names if step.startswith("migrate") else ()))
            if len(new) == 0:
                resources.remove(new)
    elif what == 4:  # restart and reload digests
        op = rng.choice(operations)
        if op.get("operation") in ("start", "monitor", "promote"):
            op.set("op-digest", rng.choice(["f2317cad3d54cec5d7d7aa7d0bf35cf8", "0" * 32]))
            if rng.random() < 0.6:
                op.set("op-force-restart", rng.choice([" state ", " fake ", " fake state "]))
                op.set("op-restart-digest", rng.choice(["f2317cad3d54cec5d7d7aa7d0bf35cf8", "1" * 32]))
            if rng.random() < 0.3:
                op.set("op-secure-params", " passwd ")
                op.set("op-secure-digest", "2" * 32)
    elif what == 5:  # a lock from a shutdown
        history = rng.choice(histories)
        history.set("shutdown-lock", str(EPOCH - rng.choice([10, 400, 4000])))
    elif what == 6:
        state = rng.choice(states)
        for name, values in (("in_ccm", ["true", "false", str(EPOCH - 50), "0"]), ("crmd", ["online", "offline", str(EPOCH - 40), "0"]),
                             ("join", ["member", "down", "pending", "banned"]), ("expected", ["member", "down"])):
            if rng.random() < 0.4:
                state.set(name, rng.choice(values))
    elif what == 7:
        state = rng.choice(states)
        history = rng.choice(histories)
        rsc = history.get("id").split(":")[0]
        name, value = rng.choice([
            (f"fail-count-{rsc}#monitor_10000", rng.choice(["1", "3", "INFINITY"])), (f"fail-count-{rsc}#start_0", rng.choice(["1", "INFINITY"])),
            (f"last-failure-{rsc}#monitor_10000", str(EPOCH - rng.choice([5, 100, 5000]))),
            (f"fail-count-{rsc}", "2"), ("standby", "true"), ("maintenance", "true"), ("terminate", "true"), ("shutdown", str(EPOCH)),
            ("shutdown", "0"), ("#health-y", rng.choice(["red", "yellow", "green"])), ("#node-unfenced", str(EPOCH - 10)),
            ("probe_complete", "true"), ("resource-discovery-enabled", "false"), ("weight", "3")])
        random_cluster.set_transient(state, name, name.replace("#", "."), value)
    elif what == 8:  # a failure of a kind
        op = rng.choice(operations)
        key = op.get("transition-key", "1:1:0:x")
        code, state = rng.choice([("1", "0"), ("2", "0"), ("3", "0"), ("4", "0"), ("5", "0"), ("6", "0"), ("7", "0"), ("8", "0"), ("9", "0"),
                                  ("190", "0"), ("191", "0"), ("1", "1"), ("1", "2"), ("0", "3"), ("1", "4"), ("189", "6"), ("0", "9")])
        op.set("op-status", state)
        op.set("rc-code", code)
        op.set("transition-magic", f"{state}:{code};{key}")
        if rng.random() < 0.3:
            op.set("exit-reason", "why not")
        if rng.random() < 0.6:
            record_failure(copy.deepcopy(op), op, rng, status)
    elif what == 9:  # the history of something that is not configured
        history = copy.deepcopy(rng.choice(histories))
        target = rng.choice(states).find("lrm/lrm_resources")
        if target is not None:
            old = history.get("id")
            new = rng.choice(["gone", "gone:0", "gone:1", f"{old.split(':')[0]}:7"])
            if target.find(f"lrm_resource[@id='{new}']") is None:
                history.set("id", new)
                for op in history:
                    if op.get("operation_key"):
                        op.set("operation_key", op.get("operation_key").replace(old, new, 1))
                target.append(history)
    elif what == 10:  # an agent of another type
        history = rng.choice(histories)
        history.set("type", rng.choice(["Dummy", "Other", "IPaddr2"]))
    elif what == 11:  # a monitor with an interval that nobody configured any more
        op = rng.choice(operations)
        if op.get("operation") == "monitor" and op.get("interval") != "0":
            op.set("interval", "9000")
            op.set("id", op.get("id").replace("_10000", "_9000"))
            op.set("operation_key", op.get("operation_key", "").replace("_10000", "_9000"))
    elif what == 12:
        state = rng.choice(states)
        if rng.random() < 0.5:
            status.remove(state)
        else:
            lrm = state.find("lrm")
            if lrm is not None:
                state.remove(lrm)
    elif what == 13:  # not expected
        op = rng.choice(operations)
        key = op.get("transition-key", "1:1:0:x").split(":")
        if len(key) > 2:
            key[2] = rng.choice(["0", "7", "8", "193"])
            op.set("transition-key", ":".join(key))
            op.set("transition-magic", f"{op.get('op-status')}:{op.get('rc-code')};{':'.join(key)}")
    elif what == 14:
        op = rng.choice(operations)
        op.set("last-rc-change", str(EPOCH - rng.choice([0, 50, 900, 9000])))
        op.set("call-id", str(rng.randint(1, 50)))
    elif what == 15:
        state = rng.choice(states)
        if state.get("remote_node") == "true":
            state.set("node_fenced", rng.choice(["1", "0"]))
            state.set("in_ccm", rng.choice(["true", "false"]))


def op_result(history, ident, task, interval, code, status, call, node, source=None, target=None):
    key = f"{call}:1:{'7' if code == '7' else '0'}:89ab"
    op = ET.SubElement(history, "lrm_rsc_op", {
        "id": f"{ident}_{'last' if not len(history) else task}_{interval}", "operation_key": f"{ident}_{task}_{interval}",
        "operation": task, "crm-debug-origin": "crm_simulate", "crm_feature_set": "3.16.1", "transition-key": key,
        "transition-magic": f"{status}:{code};{key}", "call-id": str(call) if status != "-1" else "-1", "rc-code": code, "op-status": status,
        "interval": interval, "last-rc-change": str(EPOCH), "exec-time": "0", "queue-time": "0", "on_node": node,
        "op-digest": "f2317cad3d54cec5d7d7aa7d0bf35cf8"})
    if source:
        op.set("migrate_source", source)
        op.set("migrate_target", target)


def record_failure(record, op, rng, status):
    """The entry that keeps a resource's last failure."""
    parent = next((h for h in status.iter("lrm_resource") if op in list(h)), None)
    if parent is None:
        return
    ident = f"{parent.get('id')}_last_failure_0"
    for old in [o for o in parent if o.get("id") == ident]:
        parent.remove(old)
    record.set("id", ident)
    parent.append(record)
