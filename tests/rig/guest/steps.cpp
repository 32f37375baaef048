// /init of guests that do something before they report: runs each line of /steps as a program with words as its
// arguments, says on the console how each ended, and becomes the agent (process 1 of the probe).
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int compressed_file = 4;  // MODULE_INIT_COMPRESSED_FILE

void mount_file_system(const char* kind, const char* where) {
  ::mkdir(where, 0755);
  if (::mount(kind, where, kind, 0, nullptr) != 0 && errno != EBUSY)
    std::fprintf(stderr, "guest: mounting %s: %s\n", where, std::strerror(errno));
}

int load_module(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool compressed = path.size() > 3 && path.compare(path.size() - 3, 3, ".ko") != 0;
  if (fd >= 0 && ::syscall(SYS_finit_module, fd, "", compressed ? compressed_file : 0) == 0) return 0;
  std::fprintf(stderr, "guest: loading %s: %s\n", path.c_str(), std::strerror(errno));
  return 1;
}

int run(const std::vector<std::string>& words) {
  if (words[0] == "load") return load_module(words.at(1));
  if (words[0] == "mount") return mount_file_system(words.at(1).c_str(), words.at(2).c_str()), 0;
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(2, 1);
    ::execv(argv[0], argv.data());
    std::fprintf(stderr, "guest: %s: %s\n", argv[0], std::strerror(errno));
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

int main() {
  mount_file_system("devtmpfs", "/dev");
  mount_file_system("proc", "/proc");
  mount_file_system("sysfs", "/sys");
  std::ifstream steps("/steps");
  for (std::string line; std::getline(steps, line);) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.empty()) continue;
    std::fprintf(stderr, "guest: begin %s\n", line.c_str());
    const int status = run(words);
    std::fprintf(stderr, "guest: status %d of %s\n", status, line.c_str());
  }
  char agent[] = "/ingot-agent";
  char* argv[] = {agent, nullptr};
  ::execv(agent, argv);
  std::fprintf(stderr, "guest: %s: %s\n", agent, std::strerror(errno));
  return 1;
}
