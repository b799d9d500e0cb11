// scheduler/ticket_constraints.cpp — rsc_ticket: what happens to resources whose site loses a ticket.
// Source: Pacemaker Explained, "Multi-Site Clusters and Tickets".
#include <fmt/format.h>

#include "base/text.h"
#include "scheduler/scheduler.h"

namespace systole::scheduler {
namespace {

using Loss = TicketDependency::Loss;

void ban(Scheduler& s, Resource& rsc) { s.c.add_location(rsc, nullptr, Score::minus_infinity()); }

void apply_ticket(Scheduler& s, Resource& rsc, const TicketDependency& d) {
    if (d.ticket->granted && !d.ticket->standby) return;
    if (!rsc.children.empty()) {
        for (Resource* child : rsc.children) apply_ticket(s, *child, d);
        return;
    }
    const bool role_matches = d.role == Role::kUnknown || d.role == rsc.role;
    if (!d.ticket->granted && !rsc.active_nodes.empty()) {
        switch (d.loss) {
            case Loss::kStop: ban(s, rsc); break;
            case Loss::kDemote:
                if (d.role != Role::kPromoted) ban(s, rsc);  // promotion is dealt with when roles are chosen
                break;
            case Loss::kFence:
                if (!role_matches) return;
                ban(s, rsc);
                for (Node* node : rsc.active_nodes) s.fence(*node, "deadman ticket was lost");
                break;
            case Loss::kFreeze:
                if (!role_matches) return;
                rsc.managed = false;
                rsc.blocked = true;
                break;
        }
    } else if (d.role != Role::kPromoted || d.loss == Loss::kStop) {
        ban(s, rsc);
    }
}

void depend(Scheduler& s, std::string_view id, Resource& rsc, const model::Ticket& ticket,
            std::optional<std::string_view> role_text, std::string_view policy) {
    const auto role = constraint_role(s, id, role_text);
    if (!role) return;
    TicketDependency d{.id = std::string(id), .ticket = &ticket, .loss = Loss::kStop, .role = *role};
    if (same_ignoring_case(policy, "fence") && !s.c.options.fencing_enabled) {
        s.c.config_error(fmt::format(
            "Resetting 'loss-policy' for ticket '{}' to 'stop' because fencing is not configured", ticket.id));
        policy = "stop";
    }
    if (same_ignoring_case(policy, "fence")) {
        d.loss = Loss::kFence;
    } else if (same_ignoring_case(policy, "freeze")) {
        d.loss = Loss::kFreeze;
    } else if (same_ignoring_case(policy, "demote")) {
        d.loss = Loss::kDemote;
    } else if (!same_ignoring_case(policy, "stop") && *role == Role::kPromoted) {
        d.loss = Loss::kDemote;
    }
    s.of(rsc).tickets.push_back(d);
    if (ticket.granted && !ticket.standby) return;
    const Noting noting(s.c, rsc, Cause::kTicket, ticket.id);
    apply_ticket(s, rsc, d);
}

}  // namespace

void unpack_ticket(Scheduler& s, const xml::NodePtr& original) {
    const auto ticket_id = original->attribute("ticket");
    if (!ticket_id) {
        s.c.config_error(fmt::format("Ignoring constraint '{}' without ticket specified", original->id()));
        return;
    }
    model::Ticket& ticket = s.c.tickets[std::string(*ticket_id)];
    ticket.id = *ticket_id;
    const xml::NodePtr constraint = expand_tags(
        s, original,
        {{.attribute = "rsc", .role_attribute = "rsc-role", .set_attribute = "role", .convert_resource = false}});
    if (!constraint) return;
    const std::string_view policy = constraint->get("loss-policy");
    const auto sets = resource_sets(s, *constraint);
    if (!sets) return;
    for (const xml::Node* set : *sets) {
        for (const std::string_view id : references(*set)) {
            Resource* rsc = constraint_resource(s, id);
            if (rsc == nullptr) {
                s.c.config_error(fmt::format("{}: No resource found for {}", set->id(), id));
                return;
            }
            depend(s, set->id(), *rsc, ticket, set->attribute("role"), policy);
        }
    }
    if (!sets->empty()) return;
    Resource* rsc = constraint_resource(s, constraint->get("rsc"));
    if (rsc == nullptr) {
        s.c.config_error(fmt::format("Ignoring constraint '{}' because resource '{}' does not exist", constraint->id(),
                                     constraint->get("rsc")));
        return;
    }
    depend(s, constraint->id(), *rsc, ticket, constraint->attribute("rsc-role"), policy);
}

}  // namespace systole::scheduler
