import java.util.List;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** A node with one plugin, which is on the class path: the network. */
final class LabNode extends Node {
    LabNode(Environment environment) {
        super(environment, List.of(Netty4Plugin.class), true);
    }
}
