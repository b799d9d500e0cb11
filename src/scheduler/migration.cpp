// scheduler/migration.cpp — live migration: migrate_to on the source, migrate_from on the target, then a stop of what
// is left on the source; the start is only a point in the order, unless the migration can't be done. Source: Pacemaker
// Explained, "Migrating Resources".
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

void add_meta(Action& a, const Node& source, const Node& target) {
    a.meta["migrate_source"] = source.name;
    a.meta["migrate_target"] = target.name;
}

std::string_view task_of(const OrderEnd& end) { return end.action != nullptr ? end.action->task : end.task; }

}  // namespace

bool can_migrate(const Resource& rsc, const Node* current) {
    return rsc.migratable && rsc.managed && !rsc.failed && !rsc.start_pending && current != nullptr &&
           !current->unclean && rsc.assigned_node != nullptr && !rsc.assigned_node->unclean;
}

void create_migration_actions(Scheduler& s, Resource& rsc, Node* current) {
    using namespace rel;
    const bool under_way = rsc.partial_migration_target != nullptr;
    Node* target = rsc.assigned_node;
    Action* start = s.start(rsc, target, true);
    Action* stop = s.stop(rsc, current, true);
    Action* to = under_way ? nullptr : s.action(rsc, "migrate_to", current, true);
    Action* from = s.action(rsc, "migrate_from", target, true);
    start->set(act::kMigratable | act::kPseudo);
    stop->set(act::kMigratable);
    from->set(act::kMigratable);
    if (to != nullptr) {
        to->set(act::kMigratable);
        to->needs = start->needs;
        s.order(rsc, "monitor", rsc, "migrate_to", kOrdered);
        s.order(rsc, "migrate_to", rsc, "migrate_from", kOrdered | kUnmigratableThenBlocks);
    } else {
        from->needs = start->needs;
        s.order(rsc, "monitor", rsc, "migrate_from", kOrdered);
    }
    s.order(rsc, "migrate_from", rsc, "stop", kOrdered | kUnmigratableThenBlocks);
    s.order(rsc, "migrate_from", rsc, "start", kOrdered | kUnmigratableThenBlocks | kFirstElseThen);
    if (to != nullptr) {
        add_meta(*to, *current, *target);
        // If the source dies meanwhile, it must be known that a migration was under way. Connections are exempt, as
        // nothing could be done about them.
        if (!rsc.remote_connection) to->meta["record-pending"] = "true";
    }
    add_meta(*from, *current, *target);
}

void order_migration_equivalents(Scheduler& s, const Ordering& o) {
    Resource* first = o.first.rsc;
    Resource* then = o.then.rsc;
    if (first == nullptr || then == nullptr || first == then) return;
    if (!first->migratable && !then->migratable) return;
    if (first->has_ancestor(*then) || then->has_ancestor(*first)) return;
    const std::string_view first_task = task_of(o.first), then_task = task_of(o.then);
    using namespace rel;
    if (first_task == "start" && then_task == "start") {
        if (first->migratable && then->migratable) s.order(*first, "migrate_from", *then, "migrate_to", kOrdered);
        if (then->migratable) {
            s.order(*first, "start", *then, "migrate_to",
                    kOrdered | (first->migratable ? kIfFirstUnmigratable : kNone));
        }
    } else if (then->migratable && first_task == "stop" && then_task == "stop") {
        const Flags flags = kOrdered | (first->migratable ? kIfFirstUnmigratable : kNone);
        s.order(*first, "stop", *then, "migrate_to", flags);
        if (then->partial_migration_target != nullptr) s.order(*first, "stop", *then, "migrate_from", flags);
    } else if (then->migratable && first_task == "promote" && then_task == "start") {
        s.order(*first, "promote", *then, "migrate_to", kOrdered);
    } else if (then->migratable && first_task == "demote" && then_task == "stop") {
        s.order(*first, "demote", *then, "migrate_to", kOrdered);
        if (then->partial_migration_target != nullptr) s.order(*first, "demote", *then, "migrate_from", kOrdered);
    }
}

}  // namespace systole::scheduler
