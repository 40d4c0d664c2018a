import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;

/** One node of OpenSearch, by the settings of the command line: CONFIG_FOLDER NAME=VALUE... It closes itself when it is asked to end. */
final class OpenSearchMain {
    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            if (setting.length == 2) {
                settings.put(setting[0], setting[1]);
            }
        }
        LogConfigurator.registerErrorListener();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), Path.of(arguments[0]), () -> "lab");
        Node node = new LabNode(environment);
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
