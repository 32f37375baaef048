#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/signing.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {

struct AnswerArguments {
  std::string request;
  std::string keys;
  std::string out;
  std::string expected;
  bool show = false;
};

Result<int> run_answer(const AnswerArguments& arguments) {
  const auto request = TRY(builder::read_request(arguments.request));
  say(fmt::format("request: {}", request.id));
  for (const auto& line : TRY(builder::explain(request))) say("  " + line);
  if (!arguments.expected.empty() && arguments.expected != request.id)
    return fail(ErrorCode::crypto, fmt::format("this request is {}, not {}", request.id, arguments.expected),
                "it was changed on the way, or is another one: nothing was signed");
  if (arguments.show) return exit_ok;
  if (arguments.keys.empty() || arguments.out.empty())
    return fail(ErrorCode::usage, "--keys and --out are missing", "give both, or --show to sign nothing");
  TerminalProgress progress;
  const auto answer = TRY(builder::answer_request(request, TRY(signer::open_keys(arguments.keys)), progress));
  progress.finish();
  TRY(write_file(arguments.out, as_bytes(codec::encode_signing_answer(answer))));
  say(fmt::format("answer: {} signatures in {}", answer.signatures.size(), arguments.out));
  return exit_ok;
}

}  // namespace

void add_sign_answer(CLI::App& sign, Action& action) {
  auto* answer = sign.add_subcommand("answer", "Make the signatures that a build on another machine asks for");
  answer->footer(
      "Example: ingot build gpu.toml --keys public --out out --sign-later request     # prints the request's id\n"
      "         ingot sign answer request --id ID --keys keys --out answer            # where the keys are\n"
      "         ingot build gpu.toml --keys public --out out --finish answer\n"
      "Exit status 2: the request cannot be explained, is another one, or is for other keys; nothing is signed.");
  auto arguments = std::make_shared<AnswerArguments>();
  answer->add_option("REQUEST", arguments->request, "File of `ingot build --sign-later`")->required();
  answer->add_option("--keys", arguments->keys, "Key folder");
  answer->add_option("--out", arguments->out, "File to write the answer to");
  answer->add_option("--id", arguments->expected, "The request's id as the building machine printed it");
  answer->add_flag("--show", arguments->show, "Say what would be signed, and sign nothing");
  add_pin_options(*answer);
  answer->callback([=, &action] { action = [arguments] { return run_answer(*arguments); }; });
}

}  // namespace ingot::cli
