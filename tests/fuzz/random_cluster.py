"""Random clusters: configurations that use the whole configuration language, and events to make a history from.

The same seed always gives the same text. Configurations are valid by the schema pacemaker-3.9, which versions from
2.1.5 on know; names that 3.0 no longer documents are used where those versions still need them.
"""
import random
import xml.etree.ElementTree as ET

STATEFUL = ("ocf", "pacemaker", "Stateful")
DUMMY = ("ocf", "pacemaker", "Dummy")


def esc(value):
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def set_transient(state, name, ident, value):
    """Gives a node, as its node_state element in a parsed CIB says it, a transient attribute in place of any of that name."""
    attributes = state.find("transient_attributes")
    if attributes is None:
        attributes = ET.SubElement(state, "transient_attributes", id=state.get("id", "x"))
    block = attributes.find("instance_attributes")
    if block is None:
        block = ET.SubElement(attributes, "instance_attributes", id=f"status-{state.get('id')}")
    for pair in block.findall(f"nvpair[@name='{name}']"):
        block.remove(pair)
    ET.SubElement(block, "nvpair", id=f"status-{state.get('id')}-{ident}", name=name, value=value)


UNDERLINED = ("crm_feature_set", "admin_epoch", "num_updates", "in_ccm")


class Element:
    """Just enough XML to put a document together."""

    def __init__(self, name, /, *children, **attributes):
        self.name = name
        self.attributes = {k if k in UNDERLINED else k.rstrip("_").replace("_", "-"): v
                           for k, v in attributes.items() if v is not None}
        self.children = list(children)

    def add(self, *children):
        self.children.extend(children)
        return self

    def text(self, depth=0):
        pad = "  " * depth
        attributes = "".join(f' {k}="{esc(v)}"' for k, v in self.attributes.items())
        if not self.children:
            return f"{pad}<{self.name}{attributes}/>\n"
        inner = "".join(child.text(depth + 1) for child in self.children)
        return f"{pad}<{self.name}{attributes}>\n{inner}{pad}</{self.name}>\n"


class Cluster:
    def __init__(self, seed, size=1.0):
        self.rng = random.Random(seed)
        self.size = size
        self.serial = 0
        self.nodes = []          # cluster nodes
        self.remotes = []        # remote and guest nodes
        self.primitives = []     # ids as operations name them: (id, promotable)
        self.tops = []           # (id, kind)
        self.tickets = []
        self.tags = []
        self.templates = []
        self.features = self.draw_features()

    # --- chance ---
    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *options):
        return self.rng.choice(options)

    def unique(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def draw_features(self):
        """Each cluster uses some of the language, so that all combinations of few features come up."""
        every = ["groups", "clones", "promotable", "bundles", "guests", "remotes", "sets", "tickets", "utilization",
                 "rules", "health", "on-fail", "unmanaged", "maintenance", "standby", "migration", "templates", "tags",
                 "notify", "asymmetric", "no-quorum", "locks", "unique", "old-names", "limits", "stickiness",
                 "colocations", "orders", "locations", "opts", "fencing-trouble", "op-rules", "exclusive", "target-role",
                 "unfencing", "multiple-active"]
        share = self.pick(0.15, 0.3, 0.5)
        return {f for f in every if self.chance(share)} | ({"colocations", "orders", "locations"} if self.chance(0.5) else set())

    def has(self, feature, p=1.0):
        return feature in self.features and self.chance(p)

    # --- pieces ---
    def pairs(self, kind, ident, values, **attributes):
        block = Element(kind, id=ident, **attributes)
        for name, value in values.items():
            block.add(Element("nvpair", id=f"{ident}-{name.replace('#', '')}", name=name, value=value))
        return block

    def options(self):
        r = self.rng
        o = {"dc-version": "2.1.5", "cluster-infrastructure": "corosync"}
        o["stonith-enabled"] = "true" if self.chance(0.6) else "false"
        self.fencing = o["stonith-enabled"] == "true"
        if self.has("no-quorum"):
            o["no-quorum-policy"] = self.pick("stop", "ignore", "freeze", "demote", "suicide")
        if self.has("asymmetric"):
            o["symmetric-cluster"] = "false"
        if "utilization" in self.features:
            o["placement-strategy"] = self.pick("utilization", "minimal", "balanced", "default")
        if self.has("health"):
            o["node-health-strategy"] = self.pick("migrate-on-red", "only-green", "progressive", "custom")
            if self.chance(0.5):
                o["node-health-red"] = self.pick("-10", "-INFINITY")
                o["node-health-base"] = self.pick("0", "5")
        if self.has("maintenance", 0.2):
            o["maintenance-mode"] = "true"
        if self.has("locks"):
            o["shutdown-lock"] = "true"
            if self.chance(0.5):
                o["shutdown-lock-limit"] = self.pick("5min", "1h")
        for name, values, p in [
                ("start-failure-is-fatal", ("false",), 0.3), ("stop-orphan-resources", ("false",), 0.1),
                ("stop-orphan-actions", ("false",), 0.1), ("enable-startup-probes", ("false",), 0.08),
                ("concurrent-fencing", ("true", "false"), 0.3), ("startup-fencing", ("false",), 0.1),
                ("stonith-action", ("off", "reboot"), 0.2), ("stop-all-resources", ("true",), 0.03),
                ("priority-fencing-delay", ("30s",), 0.2), ("batch-limit", ("5",), 0.1),
                ("migration-limit", ("2",), 0.2), ("remove-after-stop", ("true",), 0.05),
                ("stonith-timeout", ("2min",), 0.1), ("cluster-delay", ("30s",), 0.1),
                ("node-pending-timeout", ("2h",), 0.1), ("have-watchdog", ("true", "false"), 0.1)]:
            if "opts" in self.features and self.chance(p):
                o[name] = r.choice(values)
        return Element("crm_config", self.pairs("cluster_property_set", "cib-bootstrap-options", o))

    def node_elements(self):
        nodes = Element("nodes")
        for number, name in enumerate(self.nodes, 1):
            node = Element("node", id=str(number), uname=name)
            values = {}
            if self.chance(0.4):
                values["rack"] = self.pick("1", "2", "x")
            if self.has("standby", 0.25):
                values["standby"] = self.pick("on", "off")
            if self.has("maintenance", 0.15):
                values["maintenance"] = "true"
            if self.has("health", 0.3):
                values["#health-disk"] = self.pick("red", "yellow", "green", "-5")
            if values:
                node.add(self.pairs("instance_attributes", f"nodes-{number}", values))
            if "utilization" in self.features and self.chance(0.9):
                node.add(self.pairs("utilization", f"nodes-{number}-utilization",
                                    {"cpu": self.rng.randint(0, 8), "mem": self.rng.randint(0, 8)}))
            nodes.add(node)
        return nodes

    def meta(self, ident, kind):
        v = {}
        if self.has("stickiness", 0.4):
            v["resource-stickiness"] = self.pick("0", "1", "100", "INFINITY", "-1")
        if self.has("limits", 0.4):
            v["migration-threshold"] = self.pick("1", "3", "0", "INFINITY")
        if self.has("limits", 0.3):
            v["failure-timeout"] = self.pick("60s", "10min", "2h")
        if self.has("unmanaged", 0.25):
            v["is-managed"] = self.pick("false", "false", "true")
        if self.has("maintenance", 0.1):
            v["maintenance"] = "true"
        if self.has("target-role", 0.25):
            v["target-role"] = self.pick("Started", "Stopped", "Stopped", "Promoted", "Unpromoted")
        if self.has("multiple-active", 0.4):
            v["multiple-active"] = self.pick("stop_only", "block", "stop_start", "stop_unexpected")
        if self.chance(0.15):
            v["priority"] = self.pick("1", "5", "10", "-1")
        if self.has("migration", 0.6):
            v["allow-migrate"] = "true"
        if self.has("opts", 0.1):
            v["critical"] = "false"
        if self.has("opts", 0.1):
            v["requires"] = self.pick("nothing", "quorum", "fencing")
        if self.has("health", 0.1):
            v["allow-unhealthy-nodes"] = "true"
        if kind == "clone":
            if self.chance(0.4):
                v["clone-max"] = str(self.rng.randint(1, len(self.nodes) + 1))
            if self.has("unique", 0.5):
                v["globally-unique"] = "true"
                if self.chance(0.6):
                    v["clone-node-max"] = self.pick("1", "2", "3")
            if self.chance(0.5):
                v["interleave"] = self.pick("true", "true", "false")
            if self.chance(0.2):
                v["ordered"] = "true"
            if self.has("notify", 0.7):
                v["notify"] = "true"
            if self.chance(0.1):
                v["clone-min"] = self.pick("1", "2")
        if kind == "group" and self.chance(0.1):
            v[self.pick("ordered", "collocated")] = "false"
        v.pop("allow-migrate", None) if kind in ("promotable",) else None
        return self.pairs("meta_attributes", f"{ident}-meta", v) if v else None

    def operations(self, ident, promotable):
        block = Element("operations")

        def op(name, interval, role=None):
            extra = {}
            if self.has("on-fail", 0.35):
                allowed = ["ignore", "block", "stop", "restart", "standby"] + (["fence"] if self.fencing else [])
                if name == "stop":
                    allowed = ["ignore", "block"] + (["fence"] if self.fencing else [])
                elif name == "promote" or role == "Promoted":
                    allowed.append("demote")
                extra["on_fail"] = self.rng.choice(allowed)
            if self.has("opts", 0.05) and interval != "0":
                extra["enabled"] = "false"
            if self.chance(0.5):
                extra["timeout"] = self.pick("20s", "1min", "90")
            element = Element("op", id=f"{ident}-{name}-{interval}{'-' + role if role else ''}", name=name,
                              interval=interval, role=role, **extra)
            if self.has("op-rules", 0.2):
                element.add(self.pairs("meta_attributes", f"{ident}-{name}-{interval}-m", {"timeout": "33s"}))
            block.add(element)

        if promotable:
            op("monitor", "10s", "Promoted")
            op("monitor", "11s", "Unpromoted" if self.chance(0.7) else None)
        elif self.chance(0.85):
            op("monitor", "10s")
        if self.has("opts", 0.1):
            op("monitor", "20s", "Stopped")
        for name in ("start", "stop", "promote", "demote"):
            if self.has("on-fail", 0.4) and (promotable or name in ("start", "stop")):
                op(name, "0")
        return block if block.children else None

    def primitive(self, ident, promotable=False, agent=None, meta=True, inner=False):
        agent = agent or (STATEFUL if promotable else self.pick(
            DUMMY, DUMMY, ("ocf", "heartbeat", "IPaddr2"), ("systemd", None, "httpd")))
        element = Element("primitive", id=ident)
        template = None
        if self.templates and not promotable and self.has("templates", 0.5):
            template = self.rng.choice(self.templates)
            element.attributes["template"] = template
        else:
            element.attributes["class"] = agent[0]
            if agent[1]:
                element.attributes["provider"] = agent[1]
            element.attributes["type"] = agent[2]
        children = []
        if meta:
            children.append(self.meta(ident, "primitive"))
        if self.chance(0.3):
            block = self.pairs("instance_attributes", f"{ident}-params", {"fake": self.pick("a", "b")})
            if self.has("rules", 0.3):
                block.children.insert(0, self.rule(f"{ident}-params-rule", None))
            children.append(block)
        if "utilization" in self.features and self.chance(0.7):
            children.append(self.pairs("utilization", f"{ident}-util", {"cpu": self.rng.randint(0, 4),
                                                                        "mem": self.rng.randint(0, 4)}))
        children.append(self.operations(ident, promotable))
        element.add(*[c for c in children if c is not None])
        if not inner:
            self.primitives.append((ident, promotable))
        return element

    def rule(self, ident, score, location=False):
        r = Element("rule", id=ident)
        if score is not None:
            r.attributes["score"] = score
        if self.chance(0.3):
            r.attributes["boolean-op"] = self.pick("and", "or")
        for i in range(self.rng.randint(1, 2)):
            e = f"{ident}-e{i}"
            what = self.rng.randrange(4)
            if what == 0:
                r.add(Element("expression", id=e, attribute="rack",
                              operation=self.pick("defined", "not_defined")))
            elif what == 1:
                r.add(Element("expression", id=e, attribute=self.pick("rack", "#uname", "#kind"),
                              operation=self.pick("eq", "ne", "lt", "gte"),
                              value=self.pick("1", "x", self.rng.choice(self.nodes), "cluster", "remote"),
                              type=self.pick(None, "string", "number", "version") if self.chance(0.5) else None))
            elif what == 2:
                r.add(Element("date_expression", id=e, operation=self.pick("gt", "lt"),
                              start="2020-01-01", end="2040-01-01"))
                date = r.children[-1].attributes
                date.pop("end" if date["operation"] == "gt" else "start")
            else:
                r.add(Element("date_expression", Element("date_spec", id=f"{e}-spec", hours="0-12"), id=e,
                              operation="date_spec"))
        return r

    def resource(self):
        """One more top-level resource."""
        kinds = ["primitive"] * 3
        kinds += [k for k, f in (("group", "groups"), ("clone", "clones"), ("promotable", "promotable"),
                                 ("bundle", "bundles")) if f in self.features for _ in range(2)]
        kind = self.rng.choice(kinds)
        if kind == "primitive":
            ident = self.unique("p")
            self.tops.append((ident, kind))
            return self.primitive(ident)
        if kind == "group":
            return self.group()
        if kind in ("clone", "promotable"):
            ident = self.unique("c" if kind == "clone" else "m")
            meta = self.meta(ident, "clone")
            if kind == "promotable":
                meta = meta or Element("meta_attributes", id=f"{ident}-meta")
                values = {"promotable": "true"}
                if self.chance(0.3):
                    values["promoted-max"] = self.pick("1", "2")
                if self.has("unique", 0.3):
                    values["promoted-node-max"] = self.pick("1", "2")
                for name, value in values.items():
                    meta.add(Element("nvpair", id=f"{ident}-meta-{name}", name=name, value=value))
            clone = Element("clone", id=ident)
            if meta is not None:
                clone.add(meta)
            self.tops.append((ident, kind))
            if self.has("groups", 0.35):
                inner = self.unique("g")
                group = Element("group", id=inner)
                for _ in range(self.rng.randint(1, 3)):
                    group.add(self.primitive(self.unique("p"), kind == "promotable", meta=self.chance(0.3)))
                clone.add(group)
            else:
                clone.add(self.primitive(self.unique("p"), kind == "promotable", meta=self.chance(0.3)))
            return clone
        return self.bundle()

    def group(self):
        ident = self.unique("g")
        group = Element("group", id=ident)
        meta = self.meta(ident, "group")
        if meta is not None:
            group.add(meta)
        for _ in range(self.rng.randint(1, 4)):
            group.add(self.primitive(self.unique("p"), meta=self.chance(0.3)))
        self.tops.append((ident, "group"))
        return group

    def bundle(self):
        ident = self.unique("b")
        bundle = Element("bundle", id=ident)
        meta = self.meta(ident, "bundle")
        if meta is not None:
            bundle.add(meta)
        replicas = self.rng.randint(1, 3)
        container = Element(self.pick("podman", "docker"), image="image:1", replicas=str(replicas))
        if self.chance(0.3):
            container.attributes["replicas-per-host"] = self.pick("1", "2")
        promotable = self.has("promotable", 0.6)
        if promotable and self.chance(0.8):
            container.attributes["promoted-max"] = self.pick("1", "2")
        bundle.add(container)
        inner = self.chance(0.75)
        if inner or self.chance(0.5):
            network = Element("network")
            if self.chance(0.6) or not inner:
                network.attributes["ip-range-start"] = f"192.168.{self.serial % 200}.10"
            if inner and "ip-range-start" not in network.attributes:
                network.attributes["control-port"] = str(3200 + self.serial)
            if self.chance(0.4):
                network.add(Element("port-mapping", id=f"{ident}-port", port="80"))
            bundle.add(network)
        if self.chance(0.4):
            bundle.add(Element("storage", Element("storage-mapping", id=f"{ident}-store", source_dir="/srv",
                                                  target_dir="/srv", options="rw")))
        if inner:
            bundle.add(self.primitive(self.unique("p"), promotable, agent=STATEFUL if promotable else DUMMY,
                                      meta=self.chance(0.3)))
        self.tops.append((ident, "bundle-promotable" if promotable and inner else "bundle"))
        return bundle

    def resources(self):
        block = Element("resources")
        if "templates" in self.features:
            name = self.unique("t")
            template = Element("template", id=name, class_="ocf", provider="pacemaker", type="Dummy")
            operations = self.operations(name, False)
            if operations is not None:
                template.add(operations)
            block.add(template)
            self.templates.append(name)
        if self.fencing and not self.has("fencing-trouble", 0.2):
            device = self.primitive("fencing", agent=("stonith", None, "fence_xvm"), meta=False)
            device.attributes.pop("template", None)
            device.attributes.update({"class": "stonith", "type": "fence_xvm"})
            device.attributes.pop("provider", None)
            if self.has("unfencing", 0.6):
                device.children.insert(0, self.pairs("meta_attributes", "fencing-meta", {"provides": "unfencing"}))
            block.add(device)
        if "remotes" in self.features:
            for _ in range(self.rng.randint(1, 2)):
                name = self.unique("r")
                self.remotes.append(name)
                remote = Element("primitive", id=name, class_="ocf", provider="pacemaker", type="remote")
                values = {"server": "192.168.9.1"}
                if self.chance(0.4):
                    values["reconnect_interval"] = "60s"
                remote.add(self.pairs("instance_attributes", f"{name}-params", values))
                if self.chance(0.8):
                    remote.add(Element("operations", Element("op", id=f"{name}-monitor", name="monitor", interval="60s")))
                block.add(remote)
                self.primitives.append((name, False))
                self.tops.append((name, "remote"))
        if "guests" in self.features:
            for _ in range(self.rng.randint(1, 2)):
                name, machine = self.unique("guest"), self.unique("vm")
                self.remotes.append(name)
                element = Element("primitive", id=machine, class_="ocf", provider="heartbeat", type="VirtualDomain")
                values = {"remote-node": name}
                if self.chance(0.5):
                    values["allow-migrate"] = "true"
                if self.chance(0.2):
                    values["remote-addr"] = "192.168.8.8"
                element.add(self.pairs("meta_attributes", f"{machine}-meta", values))
                element.add(Element("operations", Element("op", id=f"{machine}-monitor", name="monitor", interval="10s")))
                block.add(element)
                self.primitives.append((machine, False))
                self.primitives.append((name, False))
                self.tops.append((machine, "primitive"))
        for _ in range(max(1, int(self.rng.randint(1, 7) * self.size))):
            block.add(self.resource())
        return block

    # --- constraints ---
    def score(self):
        return self.pick("INFINITY", "INFINITY", "-INFINITY", "100", "-100", "1", "-1", "10", "500")

    def any_resource(self):
        guests = [p for p in self.primitives if p[0] not in self.remotes]
        return self.rng.choice(self.tops)[0] if self.chance(0.85) or not guests else self.rng.choice(guests)[0]

    def role_of(self, ident):
        kind = dict(self.tops).get(ident, "")
        return self.pick("Promoted", "Promoted", "Unpromoted", "Started") if "promotable" in kind and self.chance(0.6) else None

    def set_of(self, ident, size, action=False, score=None):
        members = self.rng.sample([t[0] for t in self.tops], min(size, len(self.tops)))
        block = Element("resource_set", id=ident)
        if self.chance(0.4):
            block.attributes["sequential"] = self.pick("true", "false")
        if action:
            if self.chance(0.2):
                block.attributes["require-all"] = self.pick("true", "false")
            if self.chance(0.2):
                block.attributes["action"] = self.pick("start", "stop", "promote")
        elif self.chance(0.15):
            block.attributes["role"] = self.pick("Promoted", "Started")
        if score:
            block.attributes["score"] = score
        return block.add(*[Element("resource_ref", id=m) for m in members])

    def constraints(self):
        block = Element("constraints")
        asymmetric = "asymmetric" in self.features
        everywhere = self.nodes + self.remotes
        for ident, _ in self.tops:
            tries = 2 if asymmetric else 1
            for _ in range(tries):
                if not asymmetric and not self.has("locations", 0.5):
                    continue
                c = self.unique("loc")
                location = Element("rsc_location", id=c, rsc=ident)
                if self.has("rules", 0.4):
                    location.add(self.rule(f"{c}-rule", self.score(), True))
                    if self.chance(0.1):
                        location.children[0].attributes["role"] = self.pick("Promoted", "Unpromoted")
                else:
                    location.attributes["node"] = self.rng.choice(everywhere)
                    location.attributes["score"] = self.score() if not asymmetric else self.pick("100", "INFINITY", "1")
                    role = self.role_of(ident)
                    if role and self.chance(0.4):
                        location.attributes["role"] = role
                if self.has("exclusive", 0.3):
                    location.attributes["resource-discovery"] = self.pick("exclusive", "never", "always")
                block.add(location)
        count = len(self.tops)
        if count > 1 and "colocations" in self.features:
            for _ in range(self.rng.randint(1, count)):
                a, b = self.any_resource(), self.any_resource()
                if a == b:
                    continue
                c = self.unique("col")
                element = Element("rsc_colocation", id=c, rsc=a, with_rsc=b, score=self.score())
                for name, ident in (("rsc-role", a), ("with-rsc-role", b)):
                    role = self.role_of(ident)
                    if role:
                        element.attributes[name] = role
                if self.chance(0.1):
                    element.attributes["node-attribute"] = "rack"
                if self.has("opts", 0.2):
                    element.attributes["influence"] = self.pick("true", "false")
                block.add(element)
        if count > 1 and "orders" in self.features:
            for _ in range(self.rng.randint(1, count)):
                a, b = self.any_resource(), self.any_resource()
                if a == b:
                    continue
                c = self.unique("ord")
                element = Element("rsc_order", id=c, first=a, then=b)
                if self.chance(0.6):
                    element.attributes["kind"] = self.pick("Mandatory", "Optional", "Serialize")
                if self.chance(0.2):
                    element.attributes["symmetrical"] = self.pick("true", "false")
                    if element.attributes.get("kind") == "Serialize":
                        element.attributes["symmetrical"] = "false"
                for name, ident in (("first-action", a), ("then-action", b)):
                    if "promotable" in dict(self.tops).get(ident, "") and self.chance(0.5):
                        element.attributes[name] = self.pick("promote", "demote", "start", "stop")
                    elif self.chance(0.1):
                        element.attributes[name] = self.pick("start", "stop")
                block.add(element)
        if count > 1 and "sets" in self.features:
            for _ in range(self.rng.randint(1, 2)):
                if self.chance(0.5):
                    c = self.unique("cset")
                    element = Element("rsc_colocation", id=c, score=self.score())
                    for i in range(self.rng.randint(1, 2)):
                        element.add(self.set_of(f"{c}-{i}", self.rng.randint(1, 4)))
                else:
                    c = self.unique("oset")
                    element = Element("rsc_order", id=c, kind=self.pick("Mandatory", "Optional", "Serialize"))
                    for i in range(self.rng.randint(1, 3)):
                        element.add(self.set_of(f"{c}-{i}", self.rng.randint(1, 3), action=True))
                block.add(element)
        if "tickets" in self.features:
            ticket = self.unique("ticket")
            self.tickets.append(ticket)
            ident = self.any_resource()
            element = Element("rsc_ticket", id=self.unique("tick"), ticket=ticket, rsc=ident,
                              loss_policy=self.pick("stop", "demote", "freeze") if not self.fencing else
                              self.pick("stop", "demote", "freeze", "fence"))
            role = self.role_of(ident)
            if role:
                element.attributes["rsc-role"] = role
            block.add(element)
        return block

    def cib(self):
        self.nodes = [f"node{i + 1}" for i in range(self.rng.randint(2, 5))]
        crm_config, resources = self.options(), self.resources()
        nodes, constraints = self.node_elements(), self.constraints()
        configuration = Element("configuration", crm_config, nodes, resources, constraints)
        if "tags" in self.features and self.tops:
            tag = Element("tag", id=self.unique("tag"))
            for ident in self.rng.sample([t[0] for t in self.tops], min(2, len(self.tops))):
                tag.add(Element("obj_ref", id=ident))
            configuration.add(Element("tags", tag))
            if self.chance(0.7):
                constraints.add(Element("rsc_location", id=self.unique("loc"), rsc=tag.attributes["id"],
                                        node=self.rng.choice(self.nodes), score=self.score()))
        if self.has("stickiness", 0.4):
            configuration.add(Element("rsc_defaults", self.pairs(
                "meta_attributes", "rsc-defaults", {"resource-stickiness": self.pick("1", "100", "INFINITY")})))
        if self.has("op-rules", 0.5):
            block = self.pairs("meta_attributes", "op-defaults", {"timeout": "44s"})
            if self.chance(0.6):
                block.children.insert(0, Element("rule", Element("op_expression", id="od-e", name="monitor"),
                                                 id="od-rule", score="INFINITY"))
            configuration.add(Element("op_defaults", block))
        quorum = "0" if self.has("no-quorum", 0.5) else "1"
        status = Element("status")
        for number, name in enumerate(self.nodes, 1):
            if self.chance(0.05):
                continue
            up = self.chance(0.92)
            status.add(Element("node_state", id=str(number), uname=name, in_ccm="true" if up else "false",
                               crmd="online" if up else "offline", join="member" if up else "down",
                               expected="member" if self.chance(0.95) else "down"))
        return Element("cib", configuration, status, crm_feature_set="3.16.1", validate_with="pacemaker-3.9",
                       admin_epoch="1", epoch="5", num_updates="1", have_quorum=quorum, dc_uuid="1").text()

    # --- events ---
    def event(self):
        """Arguments for a simulated round: what happens to the cluster."""
        arguments = []
        what = self.rng.randrange(8)
        everywhere = self.nodes + self.remotes
        if what == 0:
            arguments += [self.pick("-d", "-f"), self.rng.choice(self.nodes)]
        elif what == 1:
            arguments += ["-u", self.rng.choice(self.nodes)]
        elif what in (2, 3):
            ident, promotable = self.rng.choice(self.primitives)
            node = self.rng.choice(everywhere)
            ident += self.pick("", "", "", ":0", ":1")
            if promotable:
                spec = self.pick("monitor_10000@{}=8", "monitor_11000@{}=7", "monitor_10000@{}=9", "promote_0@{}=1",
                                 "demote_0@{}=1", "start_0@{}=1", "stop_0@{}=1", "monitor_0@{}=8")
            else:
                spec = self.pick("monitor_10000@{}=7", "monitor_10000@{}=1", "start_0@{}=1", "stop_0@{}=1",
                                 "monitor_0@{}=0", "monitor_0@{}=5", "start_0@{}=5", "start_0@{}=6")
            arguments += ["-i", f"{ident}_{spec.format(node)}"]
        elif what in (4, 5):
            ident, promotable = self.rng.choice(self.primitives)
            task = self.pick("start_0", "stop_0", "monitor_0", "monitor_10000", "promote_0", "demote_0", "migrate_to_0",
                             "migrate_from_0")
            arguments += ["-F", f"{ident}{self.pick('', ':0', ':1')}_{task}@{self.rng.choice(everywhere)}="
                                f"{self.pick('1', '5', '7', '2', '6', '8')}"]
        elif what == 6 and self.tickets:
            arguments += [self.pick("-g", "-r", "-b", "-e"), self.rng.choice(self.tickets)]
        if self.has("no-quorum", 0.2):
            arguments += ["-q", self.pick("true", "false")]
        return arguments
