// Templates of the standard library.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
extern "C" int containers(int last) {
    std::vector<std::string> names;
    for (int i = 0; i < 20; i++) names.push_back("a name that is no short one " + std::to_string(i * 7 % 20));
    std::sort(names.begin(), names.end(), std::greater<>());
    std::array<int, 3> numbers = {3, 1, 2};
    auto least = std::min_element(numbers.begin(), numbers.end());
    std::function<int(int)> twice = [](int n) { return 2 * n; };
    auto owned = std::make_unique<std::string>("owned");
    std::optional<std::string_view> view = std::string_view(*owned).substr(1);
    std::atomic<int> count = twice(*least);
    char *volatile none = new (std::nothrow) char[(std::size_t)1 << 60];
    auto shared = std::make_shared<int>(5);
    auto other = shared;
    bool alone = __gnu_cxx::__is_single_threaded();
    std::printf("%s, %zu %d %s\n", names.front().c_str(), view->size(), count.fetch_add(1), none ? "some" : "none");
    std::printf("shared by %ld, %s\n", shared.use_count(), alone ? "one thread" : "threads");
    return (int)names.at(last).size();
}
