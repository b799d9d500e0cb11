// scheduler/actions.cpp — making and finding actions.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/digest.h"
#include "model/operations.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

struct TaskPair {
    std::string_view task, done;
};
constexpr TaskPair kPairs[] = {
    {"stop", "stopped"}, {"start", "running"}, {"promote", "promoted"}, {"demote", "demoted"}, {"notify", "notified"}};

Needs needs_of(const Resource& rsc, std::string_view task) {
    if (task != "start" && task != "promote") return Needs::kNothing;
    if (rsc.needs_fencing) return Needs::kFencing;
    return rsc.needs_quorum ? Needs::kQuorum : Needs::kNothing;
}

/// no-quorum-policy as it applies to this resource now.
model::NoQuorum effective_policy(Scheduler& s, Resource& rsc) {
    using model::NoQuorum;
    if (s.c.quorate) return NoQuorum::kIgnore;
    if (s.c.options.no_quorum != NoQuorum::kDemote) return s.c.options.no_quorum;
    if (rsc.role == Role::kPromoted || rsc.role == Role::kUnpromoted) {
        if (rsc.next_role > Role::kUnpromoted) rsc.next_role = Role::kUnpromoted;
        return NoQuorum::kIgnore;
    }
    return NoQuorum::kStop;
}

void update_optional(Action& a, bool optional) {
    if (a.rsc != nullptr && a.node != nullptr && !a.is(act::kPseudo) && !a.rsc->managed &&
        !a.meta.contains("interval")) {
        a.set(act::kOptional);  // what is unmanaged is left alone
    } else if (!optional) {
        a.clear(act::kOptional);
    }
}

void update_runnable(Scheduler& s, Action& a) {
    if (a.is(act::kPseudo)) return;
    Resource& rsc = *a.rsc;
    if (a.node == nullptr) {
        a.clear(act::kRunnable);
    } else if (!a.is(act::kOnDc) && !a.node->online && (!a.node->is_guest() || a.node->remote_reset)) {
        a.clear(act::kRunnable);
        if (rsc.managed && a.task == "stop" && !a.node->unclean) s.fence(*a.node, "stop is unrunnable");
    } else if (!a.is(act::kOnDc) && a.node->pending) {
        a.clear(act::kRunnable);
    } else if (a.needs == Needs::kNothing) {
        a.reason.clear();
        a.has_reason = false;
        if (a.node->is_guest() && !s.c.can_fence(a.node)) {
            a.clear(act::kRunnable);
        } else {
            a.set(act::kRunnable);
        }
    } else {
        const model::NoQuorum policy = effective_policy(s, rsc);
        if (policy == model::NoQuorum::kStop) {
            a.clear(act::kRunnable);
            a.set_reason("no quorum", true);
        } else if (policy == model::NoQuorum::kFreeze) {
            if (!rsc.is_active(true) || rsc.next_role > rsc.role) {
                a.clear(act::kRunnable);
                a.set_reason("quorum freeze", true);
            }
        } else {
            a.set(act::kRunnable);
        }
    }
}

/// Devices that unfence, last configured first.
void unfencing_devices(const std::vector<Resource*>& candidates, std::vector<Resource*>& found) {
    for (Resource* r : candidates) {
        if (!r->children.empty()) {
            unfencing_devices(r->children, found);
        } else if (r->fence_device &&
                   (r->needs_unfencing || same_ignoring_case(r->meta_value("provides").value_or(""), "unfencing"))) {
            found.insert(found.begin(), r);
        }
    }
}

/// Delay, in seconds, before fencing a node that more valuable resources run on, if that decides who survives a split.
long long priority_delay_of(const Cluster& c, const Node& node) {
    if (c.options.priority_fencing_delay.count() == 0 || node.remote_kind || node.online) return 0;
    int members = 0, online = 0, top = 0, lowest = 0;
    for (const Node* n : c.nodes) {
        if (n->remote_kind) continue;
        ++members;
        if (n->online) ++online;
        if (members == 1 || n->priority > top) top = n->priority;
        if (members == 1 || n->priority < lowest) lowest = n->priority;
    }
    if (online > members / 2 || lowest == top || node.priority < top) return 0;
    return c.options.priority_fencing_delay.count() / 1000;
}

}  // namespace

std::string_view completed(std::string_view task) {
    for (const TaskPair& pair : kPairs) {
        if (pair.task == task) return pair.done;
    }
    return task;
}

std::string_view uncompleted(std::string_view task) {
    for (const TaskPair& pair : kPairs) {
        if (pair.done == task) return pair.task;
    }
    return task;
}

std::string Action::key() const { return rsc == nullptr ? name : model::operation_key(rsc->id, key_task, interval); }

std::string_view Action::meta_value(std::string_view name_of) const {
    const auto it = meta.find(name_of);
    return it == meta.end() ? std::string_view{} : std::string_view(it->second);
}

void Action::set_reason(std::string text, bool overwrite) {
    if (has_reason && !overwrite) return;
    reason = std::move(text);
    has_reason = true;
}

void Action::clear_because(Flags flag, const Action& cause) {
    if (!is(flag)) return;
    clear(flag);
    if (rsc == cause.rsc) return;
    std::string_view change = "unmigrateable";
    if (flag == act::kRunnable) change = "unrunnable";
    if (flag == act::kOptional) change = "required";
    if (cause.rsc == nullptr) {
        set_reason(fmt::format("{} {}", change, cause.task), false);
    } else {
        set_reason(fmt::format("{} {} {}", change, cause.rsc->id, cause.task), false);
    }
}

std::vector<Action*> Scheduler::find_actions(Resource& rsc, std::string_view key_task, Duration interval, Node* node,
                                             bool require_node) {
    std::vector<Action*> found;
    if (require_node && node == nullptr) return found;
    for (Action* a : of(rsc).actions) {
        if (a->interval != interval || a->key_task != key_task) continue;
        if (node == nullptr) {
            found.push_back(a);
        } else if (a->node == nullptr) {
            if (require_node) continue;
            a->node = node;
            found.push_back(a);
        } else if (a->node == node) {
            found.push_back(a);
        }
    }
    return found;
}

Action* Scheduler::find_task(const Resource& rsc, std::string_view task, const Node* node) {
    const auto& list = of(rsc).actions;
    for (auto it = list.rbegin(); it != list.rend(); ++it) {
        if ((*it)->task == task && (node == nullptr || (*it)->node == node)) return *it;
    }
    return nullptr;
}

Action* Scheduler::find_key(const Resource& rsc, std::string_view key_task) {
    const auto& list = of(rsc).actions;
    for (auto it = list.rbegin(); it != list.rend(); ++it) {
        if ((*it)->key_task == key_task && (*it)->interval.count() == 0) return *it;
    }
    return nullptr;
}

Action* Scheduler::action(Resource& rsc, std::string_view key_task, std::string_view task, Duration interval,
                          Node* node, bool optional) {
    Action* a = nullptr;
    for (Action* candidate : of(rsc).actions) {
        if (candidate->interval != interval || candidate->key_task != key_task) continue;
        if (node != nullptr) {
            if (candidate->node == nullptr) candidate->node = node;
            if (candidate->node != node) continue;
        }
        a = candidate;
        break;
    }
    if (a == nullptr) {
        a = &actions.emplace_back();
        a->id = static_cast<int>(actions.size());
        a->rsc = &rsc;
        a->node = node;
        a->task = task;
        a->key_task = key_task;
        a->interval = interval;
        if (!optional) a->clear(act::kOptional);
        if (task == "lrm_delete") a->set(act::kOnDc);
        const model::OperationConfig* config = model::find_operation(rsc, task, interval);
        if (config == nullptr && key_task.find("_notify_") != std::string_view::npos) {
            config = model::find_exact_operation(rsc, "notify", Duration{0});
        }
        a->config = config == nullptr ? nullptr : config->xml;
        a->meta = *model::operation_meta(c, rsc, node, task, interval, a->config);
        a->needs = needs_of(rsc, task);
        a->on_fail = model::parse_on_fail(c, rsc, task, interval, a->meta);
        a->fail_role = model::role_after_failure(rsc, task, a->on_fail);
        of(rsc).actions.push_back(a);
    }
    update_optional(*a, optional);
    if (a->node != nullptr && a->config != nullptr && !a->is(act::kParametersRead)) {
        a->parameters = model::operation_parameters(c, a->config, *a->node);
        a->set(act::kParametersRead);
    }
    update_runnable(*this, *a);
    return a;
}

Action* Scheduler::global_action(const std::string& key, std::string_view task, Node* node, bool optional) {
    Action*& a = singletons[key];
    if (a == nullptr) {
        a = &actions.emplace_back();
        a->id = static_cast<int>(actions.size());
        a->node = node;
        a->task = task;
        a->name = key;
        if (!optional) a->clear(act::kOptional);
    }
    update_optional(*a, optional);
    return a;
}

Action* Scheduler::pseudo_action(const std::string& name) {
    const bool known = singletons.contains(name);
    Action* a = global_action(name, name, nullptr, true);
    if (!known) a->set(act::kPseudo | act::kRunnable);
    return a;
}

Action* Scheduler::rsc_pseudo_action(Resource& rsc, std::string_view task, bool optional, bool runnable) {
    Action* a = action(rsc, task, nullptr, optional);
    a->set(act::kPseudo);
    if (runnable) a->set(act::kRunnable);
    return a;
}

Action* Scheduler::fence_action(Node& node, std::string_view operation, bool optional, const std::string* reason,
                                bool priority_delay) {
    const std::string op(operation.empty() ? std::string_view(c.options.fencing_action) : operation);
    const std::string key = fmt::format("stonith-{}-{}", node.name, op);
    const bool known = singletons.contains(key);
    Action* a = known ? singletons[key] : global_action(key, "stonith", &node, true);
    if (!known) {
        a->meta["on_node"] = node.name;
        a->meta["on_node_uuid"] = node.id;
        a->meta["stonith_action"] = op;
        if (c.enable_unfencing) {
            std::vector<Resource*> devices;
            unfencing_devices(c.resources, devices);
            std::string all, secure;
            for (Resource* device : devices) {
                const auto digest = model::compare_fencing_digests(c, *device, node);
                if (digest.result == model::DigestResult::kMismatch) {
                    optional = false;
                    plan.messages.push_back(fmt::format(
                        "notice: Unfencing node {} because the definition of {} changed", node.name, device->id));
                }
                if (digest.only_private_changed) {
                    plan.messages.push_back(
                        fmt::format("Only 'private' parameters to {} for unfencing {} changed", device->id, node.name));
                }
                all += fmt::format("{}:{}:{},", device->id, device->agent_type(), digest.digests.all);
                secure += fmt::format("{}:{}:{},", device->id, device->agent_type(), digest.digests.secure);
            }
            a->meta["digests-all"] = all;
            a->meta["digests-secure"] = secure;
        }
    }
    if (c.options.priority_fencing_delay.count() > 0 &&
        (priority_delay || a->meta.contains("priority-fencing-delay"))) {
        a->meta["priority-fencing-delay"] = std::to_string(priority_delay_of(c, node));
    }
    if (!optional && c.can_fence(&node)) {
        a->clear(act::kOptional);
        if (reason != nullptr) a->set_reason(*reason, false);
    } else if (reason != nullptr && !a->has_reason) {
        a->set_reason(*reason, false);
    }
    return a;
}

Action* Scheduler::clear_fail_count(Resource& rsc, Node& node) {
    Action* a = action(rsc, "clear_failcount", &node, false);
    a->meta["op_no_wait"] = "true";
    return a;
}

bool Scheduler::relate(Action* first, Action* then, Flags flags) {
    if (flags == rel::kNone || first == nullptr || then == nullptr) return false;
    // Both ends know of it: look where there are fewer.
    if (first->after.size() <= then->before.size()) {
        for (const Relation& r : first->after) {
            if (r.other == then && (r.declared & flags) != 0) return false;
        }
    } else {
        for (const Relation& r : then->before) {
            if (r.other == first && (r.declared & flags) != 0) return false;
        }
    }
    first->after.push_back({then, flags, flags});
    then->before.push_back({first, flags, flags});
    return true;
}

void Scheduler::order(OrderEnd first, OrderEnd then, Flags flags) {
    orderings.push_back({std::move(first), std::move(then), flags});
    const Ordering made = orderings.back();  // the list may grow below
    order_migration_equivalents(*this, made);
}

void Scheduler::take_requests() {
    using Kind = model::HistoryRequest::Kind;
    while (!c.requests.empty()) {
        const std::vector<model::HistoryRequest> requests = std::move(c.requests);
        c.requests.clear();
        for (const model::HistoryRequest& r : requests) {
            switch (r.kind) {
                case Kind::kRecurring: action(*r.resource, r.task, r.task, r.interval, r.node, true); break;
                case Kind::kStop: stop(*r.resource, r.node, false); break;
                case Kind::kDemote: demote(*r.resource, r.node, false); break;
                case Kind::kForgetStops:
                    for (Action* a : find_actions(*r.resource, "stop", Duration{0}, r.node)) a->set(act::kOptional);
                    break;
                case Kind::kFence: fence_action(*r.node, {}, true, &r.reason, r.priority_delay); break;
                case Kind::kClearFailCount: {
                    Action* clear = clear_fail_count(*r.resource, *r.node);
                    if (r.after_fencing) {
                        if (Node* remote = c.find_node(r.resource->id)) {
                            relate(fence_action(*remote, {}, true, nullptr, false), clear, rel::kFirstImpliesThen);
                        }
                    }
                    break;
                }
                case Kind::kDeleteHistory: delete_history(*r.resource, *r.node); break;
            }
        }
    }
}

void Scheduler::fence(Node& node, std::string reason, bool priority_delay) {
    model::fence_node(c, node, std::move(reason), priority_delay);
    take_requests();
}

void Scheduler::unfence_for(Resource* rsc, Node* node, const std::string& reason) {
    if (!c.enable_unfencing || (rsc != nullptr && !rsc->fence_device)) return;
    const auto up = [](const Node& n) { return n.online && !n.unclean && !n.shutdown; };
    if (node != nullptr && up(*node)) {
        fence_action(*node, "on", false, &reason, false);
    } else if (rsc != nullptr) {
        for (Node* each : c.nodes) {
            if (rsc->allowed.find(*each) != nullptr && up(*each)) fence_action(*each, "on", false, &reason, false);
        }
    }
}

}  // namespace systole::scheduler
