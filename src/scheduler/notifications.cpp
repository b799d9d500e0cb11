// scheduler/notifications.cpp — telling the instances of a clone, before and after, what happens to the others.
// Source: Pacemaker Explained, "Clone Notifications"; OCF agents' OCF_RESKEY_CRM_meta_notify_* variables.
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/scheduler.h"

namespace systole::scheduler {

/// The four points of one kind of action: told before, all said so, told after, all said so.
struct Notifications {
    std::string task;
    Action* pre = nullptr;
    Action* pre_done = nullptr;
    Action* post = nullptr;
    Action* post_done = nullptr;
    struct Entry {
        const Resource* rsc;
        const Node* node;
    };
    std::vector<Entry> active, inactive, start, stop, demote, promote, promoted, unpromoted;
    NodeTable allowed;
    bool have_allowed = false;
    NameValues values;
};

namespace {

std::string notify_task(std::string_view type, std::string_view task) {
    return fmt::format("{}_notify_{}", type, task);
}

Action* pseudo(Scheduler& s, Resource& rsc, const Action& action, std::string_view task, std::string_view type) {
    Action* a = s.action(rsc, notify_task(type, action.task), task, Duration{0}, nullptr, action.is(act::kOptional));
    a->set(act::kPseudo);
    a->meta["notify_key_type"] = type;
    a->meta["notify_key_operation"] = action.task;
    return a;
}

void set_runnable_like(Action& a, const Action& other) {
    a.clear(act::kRunnable);
    if (other.is(act::kRunnable)) a.set(act::kRunnable);
}

std::shared_ptr<Notifications> make_points(Scheduler& s, Resource& rsc, std::string_view task, Action* action,
                                           Action* complete) {
    if (!rsc.notify) return nullptr;
    auto n = std::make_shared<Notifications>();
    n->task = task;
    const auto describe = [&](Action& a, std::string_view type) {
        a.meta["notify_type"] = type;
        a.meta["notify_operation"] = n->task;
    };
    if (action != nullptr) {
        n->pre = pseudo(s, rsc, *action, "notify", "pre");
        n->pre->set(act::kRunnable);
        describe(*n->pre, "pre");
        n->pre_done = pseudo(s, rsc, *action, "notified", "confirmed-pre");
        n->pre_done->set(act::kRunnable);
        describe(*n->pre_done, "pre");
        s.relate(n->pre, n->pre_done, rel::kOrdered);
        s.relate(n->pre_done, action, rel::kOrdered);
    }
    if (complete != nullptr) {
        n->post = pseudo(s, rsc, *complete, "notify", "post");
        n->post->priority = Score::kInfinity;
        set_runnable_like(*n->post, *complete);
        describe(*n->post, "post");
        n->post_done = pseudo(s, rsc, *complete, "notified", "confirmed-post");
        n->post_done->priority = Score::kInfinity;
        set_runnable_like(*n->post_done, *complete);
        describe(*n->post_done, "post");
        s.relate(complete, n->post, rel::kFirstImpliesThen);
        s.relate(n->post, n->post_done, rel::kFirstImpliesThen);
    }
    if (action != nullptr && complete != nullptr) s.relate(n->pre_done, n->post, rel::kOrdered);
    return n;
}

void collect(Scheduler& s, Resource& rsc, bool activity, Notifications& n) {
    if (!n.have_allowed) {
        n.allowed = rsc.allowed;
        n.have_allowed = true;
    }
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) collect(s, *child, activity, n);
        return;
    }
    const Node* node = rsc.active_nodes.empty() ? nullptr : rsc.active_nodes.front();
    const Notifications::Entry entry{&rsc, node};
    switch (rsc.role) {
        case Role::kStopped: n.inactive.push_back(entry); break;
        case Role::kStarted: n.active.push_back(entry); break;
        case Role::kUnpromoted:
            n.unpromoted.push_back(entry);
            n.active.push_back(entry);
            break;
        case Role::kPromoted:
            n.promoted.push_back(entry);
            n.active.push_back(entry);
            break;
        case Role::kUnknown: break;
    }
    if (!activity) return;
    for (const Action* a : s.of(rsc).actions) {
        if (a->is(act::kOptional) || a->node == nullptr) continue;
        const bool by_fencing = a->task == "stop" && a->node->unclean;
        if (!by_fencing && !a->is(act::kRunnable)) continue;
        const Notifications::Entry change{&rsc, a->node};
        if (a->task == "start") n.start.push_back(change);
        if (a->task == "stop") n.stop.push_back(change);
        if (a->task == "promote") n.promote.push_back(change);
        if (a->task == "demote") n.demote.push_back(change);
    }
}

struct Names {
    std::string resources = " ", nodes = " ";
};

/// Each resource once, in order of ids.
Names names_of(std::vector<Notifications::Entry>& list, bool with_nodes) {
    std::ranges::stable_sort(list, [](const auto& a, const auto& b) {
        if (a.rsc->id != b.rsc->id) return a.rsc->id < b.rsc->id;
        if (a.node == nullptr || b.node == nullptr) return a.node != nullptr && b.node == nullptr;
        return a.node->id < b.node->id;
    });
    Names names;
    const Resource* last = nullptr;
    const auto add = [](std::string& text, std::string_view word) {
        if (text == " ") {
            text = word;
        } else {
            text += fmt::format(" {}", word);
        }
    };
    for (const auto& entry : list) {
        if ((with_nodes && entry.node == nullptr) || (last != nullptr && entry.rsc->id == last->id)) continue;
        last = entry.rsc;
        add(names.resources, entry.rsc->id);
        if (with_nodes) add(names.nodes, entry.node->name);
    }
    return names;
}

void add_values(Scheduler& s, const Resource& rsc, Notifications& n) {
    const auto add = [&](std::string_view what, std::vector<Notifications::Entry>& list, bool with_nodes = true) {
        const Names names = names_of(list, with_nodes);
        n.values[fmt::format("notify_{}_resource", what)] = names.resources;
        if (with_nodes) n.values[fmt::format("notify_{}_uname", what)] = names.nodes;
        return names.resources != " ";
    };
    bool required = add("stop", n.stop) && n.task == "stop";
    required = required || (n.task == "start" && !n.start.empty()) || (n.task == "demote" && !n.demote.empty()) ||
               (n.task == "promote" && !n.promote.empty());
    add("start", n.start);
    add("demote", n.demote);
    add("promote", n.promote);
    add("active", n.active);
    // Both the present and the former names of the roles.
    for (const auto role : {"unpromoted", "slave"}) add(role, n.unpromoted);
    for (const auto role : {"promoted", "master"}) add(role, n.promoted);
    add("inactive", n.inactive, false);
    const auto join_names = [&](const std::vector<const Node*>& nodes, bool hosts) {
        std::string text;
        for (const Node* node : nodes) {
            const Node* named = node;
            if (hosts && node->is_guest() && !node->remote->launcher->active_nodes.empty()) {
                named = model::current_node(*node->remote->launcher);
            }
            text += fmt::format("{}{}", text.empty() ? "" : " ", named->name);
        }
        return text.empty() ? std::string(" ") : text;
    };
    std::vector<const Node*> available, all;
    for (const Node* node : s.c.nodes) {
        all.push_back(node);
        if (n.allowed.find(*node) != nullptr) available.push_back(node);
    }
    n.values["notify_available_uname"] = join_names(available, false);
    if (rsc.meta_value("container-attribute-target") == std::optional<std::string_view>("host")) {
        n.values["notify_all_hosts"] = join_names(all, true);
    }
    n.values["notify_all_uname"] = join_names(all, false);
    if (!required) return;
    for (Action* a : {n.pre, n.pre_done, n.post, n.post_done}) {
        if (a != nullptr) a->clear(act::kOptional);
    }
}

Action* notify_on(Scheduler& s, Resource& rsc, Node& node, Action* op, Action* done, const Notifications& n) {
    if (op == nullptr || done == nullptr || !node.online || !op->is(act::kRunnable)) return nullptr;
    Action* a = s.action(rsc, notify_task(op->meta_value("notify_type"), op->meta_value("notify_operation")), op->task,
                         Duration{0}, &node, op->is(act::kOptional));
    for (const auto& [name, value] : op->meta) a->meta.emplace(name, value);
    for (const auto& [name, value] : n.values) a->meta[name] = value;
    s.relate(op, a, rel::kOrdered);
    s.relate(a, done, rel::kOrdered);
    return a;
}

void notify_after(Scheduler& s, Resource& rsc, Node& node, const Notifications& n) {
    if (Action* a = notify_on(s, rsc, node, n.post, n.post_done, n)) a->priority = Score::kInfinity;
    if (n.post_done == nullptr) return;
    // Recurring operations start once everybody knows.
    const auto list = s.of(rsc).actions;
    for (std::size_t i = list.size(); i-- > 0;) {
        Action* monitor = list[i];
        if (!monitor->meta.contains("interval") || monitor->meta_value("interval") == "0" ||
            monitor->task == "cancel") {
            continue;
        }
        s.relate(n.post_done, monitor, rel::kOrdered);
    }
}

bool start_can_reach(Scheduler& s, const Action* start) {
    if (start == nullptr || start->node == nullptr || start->node->remote == nullptr) return true;
    const Action* connection = s.find_task(*start->node->remote, "start");
    return connection == nullptr || connection->is(act::kRunnable);
}

void create_on_nodes(Scheduler& s, Resource& rsc, Notifications& n) {
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) create_on_nodes(s, *child, n);
        return;
    }
    for (Action* a : s.of(rsc).actions) {
        if (a->is(act::kOptional) || a->node == nullptr) continue;
        if (a->task == "start" || a->task == "stop" || a->task == "promote" || a->task == "demote") {
            for (const auto& [name, value] : n.values) a->meta[name] = value;
        }
    }
    if ((n.task == "start" && n.start.empty()) || (n.task == "promote" && n.promote.empty()) ||
        (n.task == "demote" && n.demote.empty())) {
        return;
    }
    if (rsc.role != Role::kStopped && (n.task == "stop" || n.task == "demote")) {
        const Action* stop = s.find_task(rsc, "stop");
        const std::vector<Node*> active = rsc.active_nodes;
        for (Node* node : active) {
            if (stop != nullptr && stop->is(act::kPseudo) && (node->unclean || node->remote_reset)) continue;
            notify_on(s, rsc, *node, n.pre, n.pre_done, n);
            // What stops needn't be told that it has.
            if (n.task == "demote" || stop == nullptr || stop->is(act::kOptional)) notify_after(s, rsc, *node, n);
        }
    }
    if (rsc.next_role != Role::kStopped && (n.task == "start" || n.task == "promote")) {
        const Action* start = s.find_task(rsc, "start");
        if (!start_can_reach(s, start)) return;
        if (rsc.assigned_node == nullptr) {
            s.c.error(fmt::format("Next role '{}' but {} is not allocated", text_of(rsc.next_role), rsc.id));
            return;
        }
        if (n.task != "start" || start == nullptr || start->is(act::kOptional)) {
            notify_on(s, rsc, *rsc.assigned_node, n.pre, n.pre_done, n);
        }
        notify_after(s, rsc, *rsc.assigned_node, n);
    }
}

}  // namespace

void create_notification_pseudo_actions(Scheduler& s, Resource& clone, Action* start, Action* started, Action* stop,
                                        Action* stopped) {
    if (!s.of(clone).start_notify) s.of(clone).start_notify = make_points(s, clone, "start", start, started);
    if (s.of(clone).stop_notify) return;
    s.of(clone).stop_notify = make_points(s, clone, "stop", stop, stopped);
    Work& work = s.of(clone);
    if (work.start_notify && work.stop_notify) {
        s.relate(work.stop_notify->post_done, work.start_notify->pre, rel::kOrdered);
    }
}

void create_promotable_notification_pseudo_actions(Scheduler& s, Resource& clone, Action* promote, Action* promoted,
                                                   Action* demote, Action* demoted) {
    if (promote != nullptr) {
        if (!s.of(clone).promote_notify) {
            s.of(clone).promote_notify = make_points(s, clone, "promote", promote, promoted);
        }
        return;
    }
    if (s.of(clone).demote_notify) return;
    s.of(clone).demote_notify = make_points(s, clone, "demote", demote, demoted);
    const Work& work = s.of(clone);
    if (!work.promote_notify) return;
    // Down before up, and everybody knows each time.
    s.relate(work.stop_notify->post_done, work.promote_notify->pre, rel::kOrdered);
    s.relate(work.start_notify->post_done, work.promote_notify->pre, rel::kOrdered);
    s.relate(work.demote_notify->post_done, work.promote_notify->pre, rel::kOrdered);
    s.relate(work.demote_notify->post_done, work.start_notify->pre, rel::kOrdered);
    s.relate(work.demote_notify->post_done, work.stop_notify->pre, rel::kOrdered);
}

void create_clone_notifications(Scheduler& s, Resource& clone) {
    const Work& work = s.of(clone);
    for (const auto& n : {work.start_notify, work.stop_notify, work.promote_notify, work.demote_notify}) {
        if (!n) continue;
        collect(s, clone, true, *n);
        add_values(s, clone, *n);
        create_on_nodes(s, clone, *n);
    }
}

void order_notifications_after_fencing(Scheduler& s, Action& stop, Resource& rsc, Action& fencing) {
    const auto n = make_points(s, rsc, "stop", nullptr, &fencing);
    if (!n) return;
    collect(s, rsc, false, *n);
    n->values["notify_stop_resource"] = rsc.id;
    n->values["notify_stop_uname"] = stop.node->name;
    create_on_nodes(s, rsc.uber_parent(), *n);
}

}  // namespace systole::scheduler
