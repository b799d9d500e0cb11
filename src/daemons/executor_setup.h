#pragma once
// daemons/executor_setup.h — what a program that runs agents prepares before it begins: systole-execd and
// pacemaker-remoted.
#include "daemons/executor_host.h"
#include "runtime/log.h"

namespace systole::daemons {

/// Gives agents their variables and a directory for their state, raises the limit of open files. The options hold what
/// the environment says about agents.
ExecutorHostOptions prepare_executor(const runtime::LogSink& log);

}  // namespace systole::daemons
