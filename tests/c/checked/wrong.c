/* Does what its argument says, so that the tests know that a checker sees it. */
#include <limits.h>
#include <obrolan.h>
#include <string.h>

int main(int argc, char **argv) {
    uint8_t seed[32] = {0};
    obrolan_config config;
    obrolan_engine *engine;
    obrolan_conn conn;
    size_t consumed;
    bool more;
    const obrolan_output *output;
    const char *what = argc > 1 ? argv[1] : "nothing";
    int number = INT_MAX - 1;
    if (obrolan_config_default(&config, sizeof config) != OBROLAN_OK ||
        obrolan_engine_new(&config, seed, 0, &engine) != OBROLAN_OK ||
        obrolan_engine_connect(engine, 0, NULL, &conn) != OBROLAN_OK ||
        obrolan_engine_receive(engine, 0, conn, (const uint8_t *)"PING\n", 5, &consumed, &more) != OBROLAN_OK ||
        obrolan_engine_next_output(engine, &output) != OBROLAN_OK || output->conn != conn)
        return 1;
    if (strcmp(what, "overflow") == 0) number += argc;
    if (strcmp(what, "leak") != 0) obrolan_engine_free(engine);
    if (strcmp(what, "lent") == 0 && output->conn != conn) return 2;
    return number == 0;
}
