#include "wire/port.h"

namespace systole::wire {

std::string_view service_name(Service service) {
    switch (service) {
        case Service::kCibRo: return "cib_ro";
        case Service::kCibRw: return "cib_rw";
        case Service::kCibShm: return "cib_shm";
        case Service::kAttributes: return "attrd";
        case Service::kFencer: return "stonith-ng";
        case Service::kExecutor: return "lrmd";
        case Service::kController: return "crmd";
        case Service::kScheduler: return "pengine";
        case Service::kPacemakerd: return "pacemakerd";
    }
    return "unknown";
}

std::string_view group_name(Group group) {
    switch (group) {
        case Group::kCib: return "cib";
        case Group::kController: return "crmd";
        case Group::kAttributes: return "attrd";
        case Group::kFencing: return "stonith-ng";
    }
    return "unknown";
}

}  // namespace systole::wire
