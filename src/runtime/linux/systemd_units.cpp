#include "runtime/linux/systemd_units.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "xml/tree.h"
#include "xml/write.h"

namespace systole::runtime {

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr Duration kDefaultTimeout{60'000};
constexpr Duration kLookAgainMax{2000};
constexpr const char* kOverrideRoot = "/run/systemd/system";
constexpr const char* kOverrideName = "50-pacemaker.conf";  // the name that Pacemaker uses: one of them, not both

template <auto Free>
struct FreeWith {
    void operator()(auto* p) const { Free(p); }
};
using Bus = std::unique_ptr<sd_bus, FreeWith<&sd_bus_flush_close_unref>>;
using Slot = std::unique_ptr<sd_bus_slot, FreeWith<&sd_bus_slot_unref>>;
using Message = std::unique_ptr<sd_bus_message, FreeWith<&sd_bus_message_unref>>;

std::string override_text(const std::string& unit) {
    std::string text = fmt::format("[Unit]\nDescription=Cluster Controlled {}\n", unit);
    text += "Before=pacemaker.service pacemaker_remote.service\n";
    if (unit.ends_with(".service")) text += "\n[Service]\nRestart=no\n";
    return text;
}

std::string override_directory(const std::string& unit) { return fmt::format("{}/{}.d", kOverrideRoot, unit); }

std::optional<std::string> contents(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::string text(4096, '\0');
    const ssize_t count = ::read(fd, text.data(), text.size());
    ::close(fd);
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
}

/// True if the file was not there like that before; systemd has to read it then.
bool write_override(const std::string& unit) {
    const std::string directory = override_directory(unit);
    const std::string path = directory + "/" + kOverrideName;
    const std::string text = override_text(unit);
    if (contents(path) == text) return false;
    ::mkdir(directory.c_str(), 0755);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return written;
}

bool remove_override(const std::string& unit) {
    const std::string directory = override_directory(unit);
    const bool there = ::unlink((directory + "/" + kOverrideName).c_str()) == 0;
    ::rmdir(directory.c_str());
    return there;
}

std::string metadata_text(const std::string& unit, const std::string& description) {
    const std::string name = unit.ends_with(".service") ? unit.substr(0, unit.size() - 8) : unit;
    const std::string about = description.empty() ? name : description;
    const auto text_element = [](std::string_view element, std::string_view text) {
        xml::Builder builder(element);
        builder.set("lang", "en").add(xml::Builder::text(text));
        return std::move(builder).build();
    };
    xml::Builder actions("actions");
    struct Action {
        const char *name, *timeout, *interval;
    };
    for (const Action& one : {Action{"start", "100", ""}, Action{"stop", "100", ""}, Action{"status", "100", ""},
                              Action{"monitor", "100", "60"}, Action{"meta-data", "5", ""}}) {
        xml::Builder action("action");
        action.set("name", one.name).set("timeout", one.timeout).set_unless_empty("interval", one.interval);
        actions.add(std::move(action));
    }
    xml::Builder special("special");
    special.set("tag", "systemd");
    xml::Builder agent("resource-agent");
    agent.set("name", name)
        .set("version", "1")
        .add(xml::Builder("version").add(xml::Builder::text("1.1")).build())
        .add(text_element("longdesc", about))
        .add(text_element("shortdesc", fmt::format("systemd unit file for {}", name)))
        .add(xml::Builder("parameters"))
        .add(std::move(actions))
        .add(std::move(special));
    return "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n" +
           xml::write(*std::move(agent).build(), {.pretty = true, .text_nodes = true});
}

UnitResult error_result(std::string reason) {
    return {.status = ExecStatus::kError,
            .rc = static_cast<int>(ExitCode::kError),
            .reason = std::move(reason),
            .output = {}};
}

bool is_about_missing_unit(const sd_bus_error* error) {
    return sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit") != 0 ||
           sd_bus_error_has_name(error, "org.freedesktop.systemd1.LoadFailed") != 0 ||
           sd_bus_error_has_name(error, "org.freedesktop.DBus.Error.InvalidName") != 0;
}

}  // namespace

struct SystemdUnits::Impl {
    using ActId = std::uint64_t;
    using Reply = std::function<void(sd_bus_message*)>;

    struct Act {
        UnitAction action;
        Done done;
        std::string job;  ///< path of the job that is waited for
        Source timer, look_again;
    };
    struct Call {
        Impl* self;
        std::uint64_t id;
        Reply reply;
        Slot slot;
    };

    Loop& loop;
    LogSink log;
    Bus bus;
    Slot job_match;
    Source io, bus_timer;
    int io_events = 0;
    ActId last_act = 0;
    std::uint64_t last_call = 0;
    std::map<ActId, Act> acts;
    std::map<std::uint64_t, std::unique_ptr<Call>> calls;

    Impl(Loop& l, LogSink sink) : loop(l), log(std::move(sink)) {}

    // ---- the bus ----------------------------------------------------------------------------------------------------

    std::string connect() {
        if (bus) return {};
        sd_bus* raw = nullptr;
        if (const int rc = sd_bus_open_system(&raw); rc < 0) return std::strerror(-rc);
        bus.reset(raw);
        sd_bus_slot* slot = nullptr;
        const int rc = sd_bus_match_signal_async(bus.get(), &slot, kService, kManagerPath, kManager, "JobRemoved",
                                                 &Impl::on_job_removed, nullptr, this);
        if (rc < 0) {
            bus.reset();
            return std::strerror(-rc);
        }
        job_match.reset(slot);
        call(kManagerPath, kManager, "Subscribe", {}, [](sd_bus_message*) {});
        return {};
    }

    void disconnected(int rc) {
        io.reset();
        bus_timer.reset();
        io_events = 0;
        job_match.reset();
        calls.clear();
        bus.reset();
        log({.severity = wire::Severity::kWarning,
             .text = fmt::format("The connection to systemd is lost: {}", std::strerror(-rc))});
        while (!acts.empty()) finish(acts.begin()->first, error_result("The connection to systemd was lost"));
    }

    /// Does what the bus has to do, and sees to it that the loop calls again when there is more.
    void pump() {
        if (!bus) return;
        int rc = 0;
        while ((rc = sd_bus_process(bus.get(), nullptr)) > 0) {
        }
        if (rc < 0) return disconnected(rc);
        const int events = sd_bus_get_events(bus.get());
        if (events < 0) return disconnected(events);
        if (!io || events != io_events) {
            io_events = events;
            std::uint32_t wanted = 0;
            if ((events & POLLIN) != 0) wanted |= EPOLLIN;
            if ((events & POLLOUT) != 0) wanted |= EPOLLOUT;
            io = loop.on_fd(sd_bus_get_fd(bus.get()), wanted, [this](std::uint32_t) { pump(); });
        }
        std::uint64_t until_us = 0;
        bus_timer.reset();
        if (sd_bus_get_timeout(bus.get(), &until_us) >= 0 && until_us != UINT64_MAX) {
            const Instant at{std::chrono::ceil<Duration>(std::chrono::microseconds{until_us})};
            bus_timer = loop.at(at, [this] { pump(); });
        }
    }

    void call(const char* path, const char* interface, const char* member, const std::vector<std::string>& arguments,
              Reply reply) {
        sd_bus_message* raw = nullptr;
        if (sd_bus_message_new_method_call(bus.get(), &raw, kService, path, interface, member) < 0) return;
        const Message message(raw);
        for (const auto& argument : arguments) sd_bus_message_append(raw, "s", argument.c_str());
        auto call = std::make_unique<Call>(Call{this, ++last_call, std::move(reply), {}});
        sd_bus_slot* slot = nullptr;
        if (sd_bus_call_async(bus.get(), &slot, raw, &Impl::on_reply, call.get(), 0) < 0) return;
        call->slot.reset(slot);
        calls.emplace(call->id, std::move(call));
    }

    static int on_reply(sd_bus_message* message, void* userdata, sd_bus_error*) {
        auto* mine = static_cast<Call*>(userdata);
        const auto node = mine->self->calls.extract(mine->id);  // lives until the reply was looked at
        mine->reply(message);
        return 1;
    }

    static int on_job_removed(sd_bus_message* message, void* userdata, sd_bus_error*) {
        std::uint32_t id = 0;
        const char *job = nullptr, *unit = nullptr, *result = nullptr;
        if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) >= 0)
            static_cast<Impl*>(userdata)->job_removed(job, result);
        return 0;
    }

    // ---- acts -------------------------------------------------------------------------------------------------------

    void act(const UnitAction& action, Done done) {
        const ActId id = ++last_act;
        Act& act = acts.try_emplace(id, Act{action, std::move(done), {}, {}, {}}).first->second;
        const Duration timeout = action.timeout > Duration{0} ? action.timeout : kDefaultTimeout;
        act.timer = loop.after(timeout, [this, id] {
            finish(
                id,
                {.status = ExecStatus::kTimeout, .rc = static_cast<int>(ExitCode::kError), .reason = {}, .output = {}});
        });
        loop.defer([this, id] { begin(id); });
    }

    void begin(ActId id) {
        const auto at = acts.find(id);
        if (at == acts.end()) return;
        if (const auto why = connect(); !why.empty()) {
            return finish(id, error_result(fmt::format("systemd cannot be reached: {}", why)));
        }
        const auto& [unit, name, resource, timeout] = at->second.action;
        if (name == "monitor" || name == "status" || name == "metadata") {
            look(id);
        } else if (name == "start" || name == "restart") {
            const char* const member = name == "start" ? "StartUnit" : "RestartUnit";
            if (write_override(unit)) {
                call(kManagerPath, kManager, "Reload", {},
                     [this, id, member](sd_bus_message*) { start_job(id, member); });
            } else {
                start_job(id, member);
            }
        } else if (name == "stop") {
            start_job(id, "StopUnit");
        } else if (name == "reload" || name == "reload-agent") {
            start_job(id, "ReloadUnit");
        } else {
            finish(id, {.status = ExecStatus::kError,
                        .rc = static_cast<int>(ExitCode::kUnimplemented),
                        .reason = fmt::format("systemd units do not support {}", name),
                        .output = {}});
        }
        pump();
    }

    void start_job(ActId id, const char* member) {
        const auto at = acts.find(id);
        if (at == acts.end() || !bus) return;
        call(kManagerPath, kManager, member, {at->second.action.unit, "replace"}, [this, id](sd_bus_message* reply) {
            const auto mine = acts.find(id);
            if (mine == acts.end()) return;
            const std::string unit = mine->second.action.unit;
            if (sd_bus_message_is_method_error(reply, nullptr) != 0) {
                const sd_bus_error* error = sd_bus_message_get_error(reply);
                if (is_about_missing_unit(error)) {
                    if (mine->second.action.action == "stop") return finish(id, {});  // what is not there does not run
                    remove_override(unit);
                    return finish(id, {.status = ExecStatus::kNotInstalled,
                                       .rc = static_cast<int>(ExitCode::kNotInstalled),
                                       .reason = fmt::format("systemd unit {} not found", unit),
                                       .output = {}});
                }
                return finish(id, error_result(fmt::format("systemd: {}",
                                                           error->message != nullptr ? error->message : error->name)));
            }
            const char* job = nullptr;
            if (sd_bus_message_read(reply, "o", &job) < 0) return finish(id, error_result("systemd gave no job"));
            mine->second.job = job;
        });
    }

    void job_removed(const std::string& job, const std::string& result) {
        const auto at = std::ranges::find_if(acts, [&](const auto& entry) { return entry.second.job == job; });
        if (at == acts.end()) return;
        const auto [unit, name, resource, timeout] = at->second.action;
        if (name == "stop" && result == "done" && remove_override(unit)) {
            call(kManagerPath, kManager, "Reload", {}, [](sd_bus_message*) {});
        }
        if (result == "done" || result == "skipped") return finish(at->first, {});
        if (result == "timeout") {
            return finish(at->first, {.status = ExecStatus::kTimeout,
                                      .rc = static_cast<int>(ExitCode::kError),
                                      .reason = fmt::format("systemd unit {}: {} timed out in systemd", unit, name),
                                      .output = {}});
        }
        finish(at->first, error_result(fmt::format("systemd unit {}: {} ended as {}", unit, name, result)));
    }

    /// Reads the unit's state and description; what is on its way is looked at again.
    void look(ActId id) {
        const auto at = acts.find(id);
        if (at == acts.end() || !bus) return;
        call(kManagerPath, kManager, "LoadUnit", {at->second.action.unit}, [this, id](sd_bus_message* reply) {
            const char* path = nullptr;
            if (sd_bus_message_is_method_error(reply, nullptr) != 0) {
                const sd_bus_error* error = sd_bus_message_get_error(reply);
                if (is_about_missing_unit(error)) return looked(id, "not-found", "inactive", {});
                return finish(id, error_result(fmt::format("systemd: {}",
                                                           error->message != nullptr ? error->message : error->name)));
            }
            if (sd_bus_message_read(reply, "o", &path) < 0) return finish(id, error_result("systemd gave no unit"));
            call(path, "org.freedesktop.DBus.Properties", "GetAll", {kUnit},
                 [this, id](sd_bus_message* properties) { read_properties(id, properties); });
        });
        pump();
    }

    void read_properties(ActId id, sd_bus_message* message) {
        std::map<std::string, std::string> texts;
        if (sd_bus_message_is_method_error(message, nullptr) == 0 &&
            sd_bus_message_enter_container(message, 'a', "{sv}") >= 0) {
            while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                const char *name = nullptr, *signature = nullptr, *value = nullptr;
                sd_bus_message_read(message, "s", &name);
                sd_bus_message_peek_type(message, nullptr, &signature);
                if (signature != nullptr && std::strcmp(signature, "s") == 0) {
                    sd_bus_message_read(message, "v", "s", &value);
                    texts[name] = value;
                } else {
                    sd_bus_message_skip(message, "v");
                }
                sd_bus_message_exit_container(message);
            }
        }
        if (texts.empty()) return finish(id, error_result("systemd does not tell the unit's state"));
        looked(id, texts["LoadState"], texts["ActiveState"], texts["Description"]);
    }

    void looked(ActId id, const std::string& load, const std::string& active, const std::string& description) {
        const auto at = acts.find(id);
        if (at == acts.end()) return;
        const auto& action = at->second.action;
        if (action.action == "metadata") {
            // A template has no state of its own, so only a name that is unknown to systemd is one too few.
            const bool is_template = action.unit.find("@.") != std::string::npos;
            if (load == "not-found" && !is_template) {
                return finish(id, {.status = ExecStatus::kNotInstalled,
                                   .rc = static_cast<int>(ExitCode::kNotInstalled),
                                   .reason = fmt::format("systemd unit {} not found", action.unit),
                                   .output = {}});
            }
            return finish(id, {.status = ExecStatus::kDone,
                               .rc = 0,
                               .reason = {},
                               .output = metadata_text(action.unit, description)});
        }
        if (active == "activating" || active == "deactivating") {
            const Duration timeout = action.timeout > Duration{0} ? action.timeout : kDefaultTimeout;
            at->second.look_again = loop.after(std::min(kLookAgainMax, timeout / 10), [this, id] { look(id); });
            return;
        }
        const bool runs = active == "active" || active == "reloading";
        finish(id, {.status = ExecStatus::kDone,
                    .rc = runs ? 0 : static_cast<int>(ExitCode::kNotRunning),
                    .reason = {},
                    .output = {}});
    }

    void finish(ActId id, const UnitResult& result) {
        auto node = acts.extract(id);
        if (node.empty()) return;
        // Told from the loop, as this may be in the middle of reading from the bus.
        loop.defer([done = std::move(node.mapped().done), result] { done(result); });
    }
};

SystemdUnits::SystemdUnits(Loop& loop, LogSink log) : impl_(std::make_unique<Impl>(loop, std::move(log))) {}
SystemdUnits::~SystemdUnits() = default;
void SystemdUnits::act(const UnitAction& action, Done done) { impl_->act(action, std::move(done)); }

}  // namespace systole::runtime
