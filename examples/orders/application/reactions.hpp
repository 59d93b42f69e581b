// What follows from what has happened: each reaction takes one event and works in a unit of work of its own.
#pragma once

#include "application/ports.hpp"
#include "domain/events.hpp"

namespace orders::application {

/// Takes what was ordered from the stock, confirms the order and writes to the customer; an order that cannot be served
/// is cancelled.
Task<void> when_placed(Work work, domain::OrderPlaced event);
/// Puts back what was taken and writes to the customer.
Task<void> when_cancelled(Work work, domain::OrderCancelled event);

}  // namespace orders::application
