#include "node/controller.h"

namespace netserv::node {
namespace {

// Requests can be refused when the disk is full. What time and results bring goes on: it cannot be undone by
// forgetting it, what expires here expires after a restart too, and a tick put off would come again at once.
const RequestId* request_of(const Event& event) {
  if (auto* e = std::get_if<Setup>(&event)) return &e->request;
  if (auto* e = std::get_if<Remove>(&event)) return &e->request;
  if (auto* e = std::get_if<Drain>(&event)) return &e->request;
  if (auto* e = std::get_if<Enable>(&event)) return &e->request;
  return nullptr;
}

std::string id_of(const Event& event) {
  if (auto* e = std::get_if<Setup>(&event)) return e->key.module.value();
  if (auto* e = std::get_if<Remove>(&event)) return e->id;
  return {};
}

}  // namespace

void Controller::start(const Snapshot& snapshot, Settings settings, const std::map<ModuleKey, Artifact>& cached,
                       const std::map<ModuleKey, Error>& refused) {
  busy_ = true;
  apply(recover(snapshot, std::move(settings), cached, refused, clock_()), nullptr);
  busy_ = false;
  while (!queue_.empty()) {
    Event next = std::move(queue_.front());
    queue_.pop_front();
    handle(std::move(next));
  }
}

void Controller::handle(Event event) {
  queue_.push_back(std::move(event));
  if (busy_) return;
  busy_ = true;
  while (!queue_.empty()) {
    Event next = std::move(queue_.front());
    queue_.pop_front();
    apply(step(state_, next, clock_()), &next);
  }
  busy_ = false;
}

void Controller::apply(Step step, const Event* event) {
  if (!step.changes.empty()) {
    Status kept = store_.commit(step.changes);
    if (!kept) {
      const RequestId* request = event ? request_of(*event) : nullptr;
      if (request) {
        Error error = kept.error();
        error.code = ncm::number(ncm::StatusCode::kOverloaded);
        outputs_.perform(Answer{*request, ncm::response_to(error, id_of(*event), state_.settings.node_address)});
      }
      observer_.on_store_problem(kept.error());
      if (request) return;
    }
  }
  state_ = std::move(step.next);
  for (const Happened& happened : step.happened) observer_.on_happened(happened);
  for (const Action& action : step.actions) outputs_.perform(action);
}

}  // namespace netserv::node
