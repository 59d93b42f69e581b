#include <string>
#include <vector>

#include "queries.hpp"
#include "services.hpp"

namespace conduit {
namespace {

const std::vector<std::string> kUsers{"jake", "anah", "olga"};

struct Draft {
  std::size_t author;
  std::string title, description, body;
  std::vector<Tag> tags;
};
const std::vector<Draft> kArticles{
    {0, "How to train your dragon", "Ever wonder how?", "It takes a Jacobian.", {"dragons", "training"}},
    {1,
     "Stones without mortar",
     "Ashlar, and why it holds",
     "Cut every stone so that it fits its neighbours.",
     {"masonry"}},
    {2,
     "One statement a page",
     "Reading without round trips",
     "Let the *database* join what belongs together.",
     {"sql"}},
    {0, "Dragons in winter", "They sleep", "Until somebody opens the window.", {"dragons"}},
};

}  // namespace

Task<void> seed(pg::Db& db, auth::Passwords& passwords) {
  if (co_await db.maybe(queries::login_by_email, kUsers[0] + "@example.com")) co_return;
  std::vector<std::string> hashes;
  for (const auto& name : kUsers) hashes.push_back(co_await passwords.hash(name + name));
  co_await db.transaction([&](pg::Tx& tx) -> Task<void> {
    std::vector<UserId> ids;
    for (std::size_t i = 0; i < kUsers.size(); ++i) {
      const auto user = co_await tx.one(queries::create_user, kUsers[i] + "@example.com", kUsers[i], hashes[i]);
      ids.push_back(user.id);
    }
    for (const auto& [author, title, description, body, tags] : kArticles) {
      const auto article = co_await tx.one(queries::create_article, ids[author], title, description, body, tags);
      const auto reader = ids[(author + 1) % ids.size()];
      co_await tx.exec(queries::favorite, reader, article.slug);
      co_await tx.exec(queries::follow, reader, kUsers[author]);
      co_await tx.one(queries::create_comment, reader, article.slug, "Thank you for this!");
    }
  });
}

}  // namespace conduit
