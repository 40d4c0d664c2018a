import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.bootstrap.BootstrapInfo;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One node of Elasticsearch, by the settings of the command line: CONFIG_FOLDER NAME=VALUE... It closes itself when it is asked to end. */
final class ElasticsearchMain {
    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            if (setting.length == 2) {
                settings.put(setting[0], setting[1]);
            }
        }
        BootstrapInfo.init();
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), Path.of(arguments[0]), () -> "lab");
        PluginsLoader plugins =
            PluginsLoader.createPluginsLoader(Modules.of(environment), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        CountDownLatch closed = new CountDownLatch(1);
        Thread close = new Thread(() -> {
            try (node) {
                closed.countDown();
            } catch (Exception error) {
                error.printStackTrace();
            }
        });
        Runtime.getRuntime().addShutdownHook(close);
        node.start();
        closed.await();
    }
}
