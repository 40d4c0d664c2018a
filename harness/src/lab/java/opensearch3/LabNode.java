import java.util.List;
import org.opensearch.Version;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/** A node with one plugin, which is on the class path: the network. OpenSearch 3 wants to know more of it than its class. */
final class LabNode extends Node {
    LabNode(Environment environment) {
        super(environment, List.of(network()), true);
    }

    private static PluginInfo network() {
        String className = Netty4ModulePlugin.class.getName();
        return new PluginInfo("network", "", "1", Version.CURRENT, "21", className, null, List.of(), false);
    }
}
