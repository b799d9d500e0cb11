#pragma once
// model/history_reader.h — from lrm_rsc_op entries to roles; internal to this folder.
#include "model/cluster.h"
#include "model/failcount.h"
#include "model/history_order.h"
#include "model/reader.h"

namespace systole::model {

/// Positions, in a history in order of age, of the last successful stop and of what made the resource active.
struct ActiveRange {
    int start = -1;
    int stop = -1;
};
ActiveRange active_range(const std::vector<const xml::Node*>& operations);

class HistoryReader {
public:
    HistoryReader(Cluster& cluster, Reader& reader) : c_(cluster), reader_(reader), order_(cluster) {}
    void read_node(const xml::Node& state, Node& node);
    /// Bundles' containers that a failure inside condemned, once it is known where they run.
    void stop_failed_containers();

private:
    /// One history entry while it is looked at.
    struct Entry {
        const xml::Node& xml;
        Resource& resource;
        Node& node;
        std::string_view id{}, task{}, key{};
        Duration interval{0};
        int expected = -1;
        int exit = 0;
        ExecStatus status = ExecStatus::kUnknown;
        bool masked = false;  ///< is_masked_probe_failure(), of what is written
    };

    Resource* read_resource(const xml::Node& entry, Node& node);
    Resource* configured_resource(const xml::Node& entry, const Node& node);
    Resource* anonymous_instance(Resource& clone, const Node& node, std::string_view base_id);
    Resource* member_called(Resource& instance, std::string_view id) const;
    Resource* removed_resource(const xml::Node& entry);
    void read_shutdown_lock(const xml::Node& entry, Resource& resource, Node& node);
    void note_recurring(const std::vector<const xml::Node*>& operations, Resource& resource, Node& node);
    void conclude(Resource& resource, Node& node, OnFail on_fail);
    void apply_on_fail(Resource& resource, Node& node, OnFail on_fail, bool active);
    void request(HistoryRequest::Kind kind, Resource& resource, Node& node);

    // history_entry.cpp
    void read_operation(const xml::Node& xml, Resource& resource, Node& node, const xml::Node*& last_failure,
                        OnFail& on_fail);
    bool has_expired(const Entry& entry);
    bool keeps_failures(const Entry& entry) const;
    bool parameters_changed(const Entry& entry);
    void interpret(Entry& entry, OnFail& on_fail, bool expired);
    /// Did the same recurring operation succeed later?
    bool succeeded_since(const Entry& entry) const;
    /// True if nothing more is to be learnt from an expired entry.
    bool drop_expired(const Entry& entry, int exit);
    void note_success(const Entry& entry, int exit, const xml::Node* last_failure, OnFail& on_fail);
    void note_failure(const Entry& entry, OnFail configured, Role role, const xml::Node*& last_failure,
                      OnFail& on_fail);
    void note_pending(const Entry& entry, const xml::Node* last_failure);
    void note_masked_probe(const Entry& entry, const xml::Node* last_failure, OnFail& on_fail);
    void record_failed(const Entry& entry);
    void block_if_unrecoverable(const Entry& entry);
    void ban_from_everywhere(Resource& resource);
    static void set_active(Resource& resource);

    // history_migration.cpp
    void migrated_to(const Entry& entry);
    void failed_migrate_to(const Entry& entry);
    void failed_migrate_from(const Entry& entry);
    bool migration_names(const Entry& entry, const Node* source, const Node* target, std::string_view& source_name,
                         std::string_view& target_name);
    const xml::Node* history_of(std::string_view resource, std::string_view node) const;
    const xml::Node* find_entry(std::string_view resource, std::string_view task, std::string_view node,
                                std::string_view peer, int target_rc) const;
    bool unknown_on(std::string_view resource, std::string_view node) const;
    bool newer_action(std::string_view resource, std::string_view node, const xml::Node& than);
    bool newer_state(std::string_view resource, std::string_view node, const xml::Node* migrate_to,
                     const xml::Node* migrate_from);

    Cluster& c_;
    Reader& reader_;
    HistoryOrder order_;
    std::vector<Resource*> containers_to_stop_;
};

}  // namespace systole::model
