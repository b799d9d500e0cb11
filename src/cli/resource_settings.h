#pragma once
// cli/resource_settings.h — parameters and meta-attributes of resources: crm_resource -g, -p, -d.
//
// A meta-attribute of an instance of a clone is set on the clone, unless the instance has one of its own; one that an
// instance has is preferred to the clone's. --force means exactly the resource that was named.
// Source: crm_resource(8) and its recorded output.
#include <string>

#include "cli/cib_access.h"
#include "cli/output.h"
#include "model/cluster.h"

namespace systole::cli {

struct SettingRequest {
    enum class Kind : std::uint8_t { kInstance, kMeta, kUtilization, kElement };
    Kind kind = Kind::kInstance;
    std::string name, value, set_id, pair_id;
    bool force = false;
    bool recursive = false;
};

ExitCode get_setting(Output& output, model::Cluster& cluster, model::Resource& resource, const SettingRequest& request);
ExitCode set_setting(Output& output, CibAccess& access, const model::Cluster& cluster, const model::Resource& resource,
                     const SettingRequest& request);
ExitCode delete_setting(Output& output, CibAccess& access, const model::Cluster& cluster,
                        const model::Resource& resource, const SettingRequest& request);

}  // namespace systole::cli
