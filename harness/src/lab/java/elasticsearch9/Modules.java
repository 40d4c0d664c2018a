import java.util.Set;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/** The modules in the folder of that name: ours. */
final class Modules {
    static Set<PluginBundle> of(Environment environment) {
        return PluginsLoader.loadModulesBundles(environment.modulesDir(), false);
    }
}
